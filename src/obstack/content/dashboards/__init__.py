"""All dashboards: those of the stack itself, and those of what runs on hosts, kept in the folders of the modules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from obstack.catalog.modules import ModuleSet
from obstack.content.dashboards.alertmanager import ALERTMANAGER
from obstack.content.dashboards.capacity import CAPACITY
from obstack.content.dashboards.fleet import FLEET
from obstack.content.dashboards.prometheus import PROMETHEUS
from obstack.model.dashboard import Dashboard

STACK: Final[Mapping[str, Dashboard]] = MappingProxyType(
    {"fleet": FLEET, "capacity": CAPACITY, "prometheus": PROMETHEUS, "alertmanager": ALERTMANAGER}
)
"""By name, in the order in which they are listed."""


def dashboards(modules: ModuleSet) -> Mapping[str, Dashboard]:
    """Given all modules, return every dashboard by name: the stack's in their order, then the modules'."""
    drawn = {name: modules[name].dashboard for name in sorted(modules)}
    return dict(STACK) | {name: board for name, board in drawn.items() if board is not None}
