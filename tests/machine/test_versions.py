"""Three generations of Prometheus by one configuration: data live through upgrades, and a way back exists."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.server import Server, prometheus_of

pytestmark = pytest.mark.machine

VERSIONS = {"bookworm": "2.42.", "trixie": "2.53.", "sid": "3."}
DATA = "/var/lib/prometheus"
SNAPSHOTS = "/var/lib/observability/snapshots"


@pytest.fixture(scope="module")
def upgraded(machines: Machines, program_images: Mapping[str, Image]) -> Iterator[Upgraded]:
    """A Debian 13 with the Prometheus of bookworm."""
    server = Server(machines.create(program_images["trixie"], "mon-1"))
    take(server, "bookworm")
    server.set_up()
    yield Upgraded(server)
    server.machine.destroy()


class Upgraded:
    """A server whose Prometheus changes, and the generation of each version that was deployed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.generations = {"bookworm": server.current()}

    def upgrade(self, suite: str) -> Any:
        """Deploy the Prometheus of another suite, and remember its generation."""
        take(self.server, suite)
        document = self.server.apply()
        self.generations[suite] = self.server.current()
        return document

    def remembered(self) -> set[str]:
        """The suites whose version Prometheus still has samples of, by what each wrote about itself."""
        return {suite for suite in VERSIONS if self.server.query(f"last_over_time({series(suite)}[1h])")}


def take(server: Server, suite: str, **sections: Any) -> None:
    """Write the configuration and the lock file that take Prometheus from the suite."""
    server.configure(**prometheus_of(suite), **sections)
    server.use_lock(suite)


def series(suite: str) -> str:
    """What the version of the suite writes about itself."""
    version = VERSIONS[suite].replace(".", "[.]")
    return f'prometheus_build_info{{job="prometheus",version=~"{version}.*"}}'


def snapshots(server: Server) -> list[str]:
    """The copies of data that are kept."""
    return server.machine.succeed(["ls", SNAPSHOTS]).stdout.split()


def running(server: Server) -> str:
    """The version that runs."""
    return str(server.prometheus("status/buildinfo")["version"])


def test_upgrades_keep_the_data(upgraded: Upgraded) -> None:
    server = upgraded.server
    assert running(server).startswith(VERSIONS["bookworm"])
    for suite, kept in (("trixie", 0), ("sid", 1)):
        document = upgraded.upgrade(suite)
        assert [item["what"] for item in document["kept"]] == ["a copy of its data from before"] * kept
        acting = {unit["unit"]: unit["action"] for unit in document["units"] if unit["action"] != "none"}
        assert acting == {"prometheus": "restart"}
        assert running(server).startswith(VERSIONS[suite])
    assert upgraded.remembered() == set(VERSIONS)
    assert len(snapshots(server)) == 1, "2.42 and 2.53 share a format; 3.x writes another"


def test_a_way_back_over_the_format_puts_the_snapshot_back_and_keeps_the_newer_data_beside(upgraded: Upgraded) -> None:
    server = upgraded.server
    reply = server.document("rollback", "--to", upgraded.generations["trixie"])
    assert reply["outcome"] == "committed"
    assert running(server).startswith(VERSIONS["trixie"])
    assert upgraded.remembered() == {"bookworm", "trixie"}, "as it was when the upgrade began"
    aside = server.machine.succeed(f"ls -d {DATA}.newer-*").stdout.split()
    assert [(item["unit"], item["path"]) for item in reply["kept"]] == [("prometheus", aside[0])]
    assert server.machine.succeed(f"ls {aside[0]}/wal").stdout
    assert server.document("drift")["drift"] == []


def test_an_upgrade_that_fails_comes_back_to_the_old_version_with_its_data(upgraded: Upgraded) -> None:
    server = upgraded.server
    nobody = {"prometheus": {"targets": [{"job": "nobody", "addresses": ["127.0.0.1:9"]}]}}
    take(server, "sid", **nobody, gates={"deadline": "8s"})
    began = time.time()
    reply = server.apply(code=3)
    assert (reply["outcome"], reply["error"]["code"]) == ("rolled-back", "gate-failed")
    assert "its gates are green" in reply["error"]["state"]
    assert server.current() == upgraded.generations["trixie"]
    assert running(server).startswith(VERSIONS["trixie"])
    assert upgraded.remembered() == {"bookworm", "trixie"}, "what 3.x wrote in its minute is beside, not among it"
    assert server.query(series("trixie"), at=began), "up to the moment of the attempt"


@pytest.mark.parametrize("verb", ["rollback", "apply"])
def test_a_way_back_over_the_format_without_a_snapshot_is_refused(upgraded: Upgraded, verb: str) -> None:
    server = upgraded.server
    upgraded.upgrade("sid")
    server.machine.succeed(["rm", "-rf", SNAPSHOTS])
    before = server.pids()
    if verb == "apply":
        take(server, "trixie")
        reply = server.apply(code=3)
    else:
        reply = server.document("rollback", "--to", upgraded.generations["trixie"], code=3)
    assert reply["error"]["code"] == "format-downgrade"
    assert "prometheus-tsdb-3" in reply["error"]["what"]
    assert server.pids() == before
    assert running(server).startswith(VERSIONS["sid"])
    assert upgraded.remembered() == set(VERSIONS)
