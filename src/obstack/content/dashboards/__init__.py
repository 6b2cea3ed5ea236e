"""All dashboards: those of the stack itself, and those of what runs on hosts, kept in the folders of the modules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from obstack.catalog.modules import ModuleSet
from obstack.catalog.modules.resolve import enabled_modules
from obstack.content.dashboards.alertmanager import ALERTMANAGER
from obstack.content.dashboards.capacity import CAPACITY
from obstack.content.dashboards.fleet import FLEET
from obstack.content.dashboards.prometheus import PROMETHEUS
from obstack.model.dashboard import Dashboard
from obstack.model.site import Site

STACK: Final[Mapping[str, Dashboard]] = MappingProxyType(
    {"fleet": FLEET, "capacity": CAPACITY, "prometheus": PROMETHEUS, "alertmanager": ALERTMANAGER}
)
"""By name, in the order in which they are listed."""


def used_dashboards(site: Site, modules: ModuleSet) -> Mapping[str, Dashboard]:
    """Given a site and all modules, return the dashboards of the stack and of the modules that hosts use."""
    used = {name for host in site.hosts.values() for name in enabled_modules(site, host)}
    return dashboards({name: modules[name] for name in used if name in modules})


def dashboards(modules: ModuleSet) -> Mapping[str, Dashboard]:
    """Given all modules, return every dashboard by name: the stack's in their order, then the modules'."""
    drawn = {name: modules[name].dashboard for name in sorted(modules)}
    return dict(STACK) | {name: board for name, board in drawn.items() if board is not None}
