"""Choosing among the dashboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obstack.errors import UsageError
from obstack.model.dashboard import Dashboard
from obstack.model.words import nearest


def need_dashboards(known: Mapping[str, Dashboard], names: Sequence[str]) -> Mapping[str, Dashboard]:
    """Given all dashboards and names, return those. Raises UsageError with the nearest name for one that is not."""
    for name in names:
        if name not in known:
            raise UsageError(
                code="dashboard-unknown",
                what=f"There is no dashboard {name}. {nearest(name, list(known))}".rstrip(),
                where="the name of the dashboard",
                state="nothing was written",
                do="observability dashboard list",
            )
    return {name: known[name] for name in names}
