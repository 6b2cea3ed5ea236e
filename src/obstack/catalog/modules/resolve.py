"""Which modules a host runs, and with which options: the module's defaults, then the host's groups, then the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from obstack.catalog.modules.shipped import PORT, ModuleSet, ShippedModule
from obstack.model.host import Host, ModuleUse, OptionValue
from obstack.model.rules import Path
from obstack.model.site import Site

NODE = "node"
"""The module that runs on every host that does not disable it."""


@dataclass(frozen=True)
class ResolvedModule:
    """A module as one host runs it.

    `options` has a value for each option but optional ones that were not given. `port` is where the server scrapes
    it, 0 for a module whose series come with another's. `interval` is how often it is scraped.
    """

    shipped: ShippedModule
    options: Mapping[str, OptionValue]
    port: int
    interval: str

    @property
    def name(self) -> str:
        """The module's name."""
        return self.shipped.name


def resolve_host(site: Site, modules: ModuleSet, host: str) -> tuple[ResolvedModule, ...]:
    """Given a site without findings, all modules and a host's name, return what runs on it, in the order of names."""
    return _resolve(site, modules, site.hosts[host])


def resolve_hosts(site: Site, modules: ModuleSet) -> Mapping[str, tuple[ResolvedModule, ...]]:
    """Given a site without findings and all modules, return what runs on each host.

    Hosts that say the same of their modules share one answer, so that a large fleet costs little.
    """
    answers: dict[object, tuple[ResolvedModule, ...]] = {}
    found: dict[str, tuple[ResolvedModule, ...]] = {}
    for name, host in site.hosts.items():
        key = usage_key(host)
        if key not in answers:
            answers[key] = _resolve(site, modules, host)
        found[name] = answers[key]
    return found


def module_uses(site: Site, host: Host) -> Iterator[tuple[Path, Mapping[str, ModuleUse]]]:
    """Given a site and a host, yield what its groups and then it itself say of modules, without the way to the host.

    Groups that do not exist say nothing.
    """
    for name in host.groups:
        group = site.fleet.groups.get(name)
        if group is not None:
            yield ("fleet", "groups", name, "modules"), group.modules
    yield ("modules",), host.modules


def enabled_modules(site: Site, host: Host) -> Iterator[str]:
    """Given a site and a host, yield the names of the modules that are enabled on it, known or not, in order."""
    enabled = {NODE: True}
    for _, uses in module_uses(site, host):
        enabled |= {name: use.enabled for name, use in uses.items()}
    yield from sorted(name for name, wanted in enabled.items() if wanted)


def merged_options(site: Site, host: Host, module: ShippedModule) -> dict[str, OptionValue]:
    """Given a site, a host and a module, return the options in force: defaults, then groups in order, then the host."""
    options = {name: option.default for name, option in module.options.items() if option.default is not None}
    for _, uses in module_uses(site, host):
        if module.name in uses:
            options |= uses[module.name].options
    return options


def _resolve(site: Site, modules: ModuleSet, host: Host) -> tuple[ResolvedModule, ...]:
    found = []
    for name in enabled_modules(site, host):
        module = modules.get(name)
        if module is not None:
            options = merged_options(site, host, module)
            port = options.get(PORT, 0)
            found.append(
                ResolvedModule(module, options, port if isinstance(port, int) else 0, _interval(site, host, name))
            )
    return tuple(found)


def _interval(site: Site, host: Host, module: str) -> str:
    """The narrowest word wins: of the module on the host, of the module in a group, of the host, of a group."""
    said = [uses[module].scrape_interval for _, uses in module_uses(site, host) if module in uses]
    groups = [site.fleet.groups[name].scrape_interval for name in host.groups if name in site.fleet.groups]
    for interval in (*reversed(said), host.scrape_interval, *reversed(groups)):
        if interval is not None:
            return interval
    return site.prometheus.scrape_interval


def usage_key(host: Host) -> object:
    """Given a host, return what decides about its modules: hosts with equal ones run the same in the same way."""
    uses = tuple(
        (
            name,
            use.enabled,
            use.scrape_interval,
            tuple((option, type(value), value) for option, value in use.options.items()),
        )
        for name, use in host.modules.items()
    )
    return host.groups, host.scrape_interval, uses
