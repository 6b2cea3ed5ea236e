"""Look at a host over its channel and judge whether it can be monitored as its file says. Nothing is changed."""

from __future__ import annotations

from obstack.catalog.lock import Platform
from obstack.catalog.modules import ModuleSet, ResolvedModule, resolve_host
from obstack.model.site import Site
from obstack.operations.inspection import inspect
from obstack.plan.host_check import COMMANDS, HostNeeds, decide_host_findings
from obstack.plan.preflight import Finding, Port
from obstack.ports import Channel, Clock, Reporter
from obstack.render.exporter_proxy import NAME as PROXY


def check_host(
    channel: Channel, site: Site, modules: ModuleSet, name: str, platform: Platform, clock: Clock, reporter: Reporter
) -> tuple[Finding, ...]:
    """Given a host and the platform of its programs, return what is in the way of monitoring it, or may become so.

    Raises Unreachable when it cannot be reached, and what the agent refuses.
    """
    resolved = resolve_host(site, modules, name)
    reporter.step(f"Looking at {name}")
    asked = clock.now()
    units = tuple(dict.fromkeys(unit for module in resolved for unit in _units(module)))
    question = {"units": units, "paths": ("/etc/observability-exporters",), "commands": tuple(COMMANDS)}
    inspection = inspect(channel, reporter, question=question)
    needs = HostNeeds(
        name=name,
        suite=platform.suite,
        architecture=platform.architecture,
        ports=tuple(port for module in resolved for port in _ports(module)),
        installed=inspection.manifest is not None,
        said=f"hosts/{name}.yaml",
        asked=asked,
        answered=clock.now(),
    )
    return decide_host_findings(inspection.facts, needs)


def _units(module: ResolvedModule) -> tuple[str, ...]:
    service, exporter = module.shipped.module.service, module.shipped.module.exporter
    own = (service.name,) if service is not None else ()
    return (*own, PROXY) if exporter.tls == "proxy" and exporter.through is None else own


def _ports(module: ResolvedModule) -> tuple[Port, ...]:
    exporter, service = module.shipped.module.exporter, module.shipped.module.service
    own = service.name if service is not None else module.name
    if not module.port:
        return ()
    if exporter.tls == "proxy":
        behind = (Port(exporter.backend_port, own),) if exporter.backend_port and service is not None else ()
        return (Port(module.port, PROXY), *behind)
    return (Port(module.port, own),)
