"""What must not move while a change is refused or taken back: taken before, compared after."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from machine.server import UNITS, Server
from obstack.model.prometheus import Prometheus
from obstack.model.scalars import duration_seconds

OUTSIDE: Final = "/etc/prometheus /etc/alertmanager /etc/blackbox-exporter /etc/nginx /etc/systemd/system"
INTERVAL_S: Final = 2
"""The scrape interval of the tests' configuration."""
DEFAULT_INTERVAL_S: Final = duration_seconds(Prometheus().scrape_interval)
"""The scrape interval of a server on which nothing was said about it."""
JOBS: Final = frozenset({"prometheus", "alertmanager", "node-exporter", "blackbox-exporter"})


@dataclass(frozen=True)
class Witness:
    """The generation in force, every unit's process, and every managed file with its times."""

    generation: str
    pids: dict[str, int]
    files: str

    @staticmethod
    def of(server: Server) -> Witness:
        """Look at the server now."""
        return Witness(server.current(), server.pids(), managed_files(server))

    def moved(self, server: Server) -> set[str]:
        """Return the names of the units that have another process now."""
        now = server.pids()
        return {unit for unit in UNITS if now[unit] != self.pids[unit]}


def managed_files(server: Server) -> str:
    """Return the files in force with their times, modes and owners: the tree behind `current`, and all outside it."""
    current = "/var/lib/observability/current /var/lib/observability/current/"
    return server.machine.succeed(f"find {current} {OUTSIDE} -printf '%p %y %m %U:%G %s %T@ %l\\n' | sort").stdout


def widest_gaps(server: Server, since: float) -> dict[str, float]:
    """Return for each scrape job the longest time, from `since` (unix time) to now, without a successful scrape."""
    now = time.time()
    window = int(now - since) + 5 * INTERVAL_S
    found = server.prometheus(f"query?query={quote(f'up[{window}s]')}")["result"]
    gaps: dict[str, float] = {}
    for series in found:
        times = [float(moment) for moment, value in series["values"] if value == "1"]
        # One scrape before `since` belongs to it: the gap that began there is the one to see.
        first = max((moment for moment in times if moment <= since), default=since)
        edges = [first, *(moment for moment in times if moment > since), now]
        gaps[series["metric"]["job"]] = max(later - earlier for earlier, later in itertools.pairwise(edges))
    return gaps


def assert_no_gap(server: Server, since: float, *, jobs: frozenset[str] = JOBS, interval_s: float = INTERVAL_S) -> None:
    """Assert that none of the jobs went without a successful scrape for more than two intervals since then."""
    gaps = widest_gaps(server, since)
    assert jobs <= gaps.keys()
    late = {job: round(gap, 2) for job, gap in gaps.items() if job in jobs and gap > 2 * interval_s}
    assert not late, f"more than {2 * interval_s} s without a scrape: {late}"
