"""Which programs a monitored host is given: those of its modules, and those that lead to it and from it."""

from __future__ import annotations

from collections.abc import Sequence

from obstack.catalog.components import NFTABLES, NGINX, Component
from obstack.catalog.module_component import module_component
from obstack.catalog.modules import ResolvedModule
from obstack.model.host import Host


def host_components(host: Host, modules: Sequence[ResolvedModule]) -> dict[str, Component]:
    """Given a host and what runs on it, return the components of its artifacts by name.

    nginx speaks TLS for exporters that cannot, nftables admits the server alone. The journal is shipped by the agent.
    Modules that name the same artifact share it.
    """
    components = {
        module.shipped.module.artifact.name: module_component(module.shipped.module.artifact)
        for module in modules
        if module.shipped.module.artifact is not None
    }
    exporters = [module.shipped.module.exporter for module in modules]
    if any(exporter.tls == "proxy" and exporter.through is None for exporter in exporters):
        components[NGINX.name] = NGINX
    if host.firewall:
        components[NFTABLES.name] = NFTABLES
    return components
