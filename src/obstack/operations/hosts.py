"""What is known of the monitored hosts from the configuration alone: the list of them, and one in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from obstack.catalog.modules import ModuleSet, ResolvedModule, resolve_host
from obstack.catalog.modules.resolve import enabled_modules, module_uses
from obstack.errors import UsageError
from obstack.model.host import Host
from obstack.model.loaded import LoadedConfiguration
from obstack.model.site import Site
from obstack.model.words import nearest
from obstack.operations.configuration import Row, masked, rows

DEFAULT = "the module"


@dataclass(frozen=True)
class HostRow:
    """One host in a list. `reached` is where ssh goes, empty for a host that is served by bundles only."""

    name: str
    address: str
    reached: str
    groups: tuple[str, ...]
    modules: tuple[str, ...]


@dataclass(frozen=True)
class OptionRow:
    """An option of a module in force on a host. `origin` is the module itself, a group, or the host."""

    option: str
    value: Any
    origin: str


@dataclass(frozen=True)
class ModuleView:
    """A module as a host runs it. `port` is 0 where its series come with another's."""

    name: str
    title: str
    port: int
    interval: str
    options: tuple[OptionRow, ...]


@dataclass(frozen=True)
class HostView:
    """One host in full: every value in force with its origin, its labels with those of its groups, its modules."""

    name: str
    reached: str
    values: tuple[Row, ...]
    labels: Mapping[str, str]
    modules: tuple[ModuleView, ...]


def list_hosts(site: Site) -> tuple[HostRow, ...]:
    """Given a site, return its hosts in the order of their names."""
    return tuple(
        HostRow(name, host.address, reached(host), host.groups, tuple(enabled_modules(site, host)))
        for name, host in sorted(site.hosts.items())
    )


def show_host(loaded: LoadedConfiguration, modules: ModuleSet, name: str) -> HostView:
    """Given a configuration, all modules and a host's name, return the host in full. Raises UsageError."""
    host, prefix = find_host(loaded.site, name), f"hosts.{name}."
    values = tuple(
        Row(row.path.removeprefix(prefix), row.value, row.origin)
        for row in rows(loaded)
        if row.path.startswith(prefix) and not row.path.startswith(f"{prefix}modules.")
    )
    labels = {key: value for group in _groups(loaded.site, host) for key, value in group.items()} | host.labels
    resolved = resolve_host(loaded.site, modules, name)
    return HostView(
        name, reached(host), values, labels, tuple(_module(loaded.site, host, module) for module in resolved)
    )


def said_of(loaded: LoadedConfiguration, name: str) -> dict[str, Any]:
    """Given a configuration and a host's name, return what its file says, with the modules that its groups name."""
    host = find_host(loaded.site, name)
    written: dict[str, Any] = dict(loaded.values["hosts"][name])
    named = [module for _, uses in module_uses(loaded.site, host) for module in uses]
    return written | {"modules": dict.fromkeys(named)}


def find_host(site: Site, name: str) -> Host:
    """Given a site and a name, return the host. Raises UsageError, with the nearest name, when there is none."""
    host = site.hosts.get(name)
    if host is None:
        raise UsageError(
            code="host-unknown",
            what=f"There is no host {name}. {nearest(name, site.hosts)}".rstrip(),
            where="the hosts of the configuration",
            state="nothing was touched",
            do="observability host list" if site.hosts else "observability host add NAME --address ADDRESS",
        )
    return host


def reached(host: Host) -> str:
    """Given a host, return where ssh goes, with the port when it is named; empty when ssh is not used."""
    if host.ssh is None:
        return ""
    destination = host.ssh.destination or f"root@{host.address}"
    return f"{destination} port {host.ssh.port}" if host.ssh.port else destination


def _groups(site: Site, host: Host) -> Iterator[Mapping[str, str]]:
    for name in host.groups:
        if name in site.fleet.groups:
            yield site.fleet.groups[name].labels


def _module(site: Site, host: Host, module: ResolvedModule) -> ModuleView:
    options = tuple(
        OptionRow(name, masked(_plain(value)), _origin(site, host, module.name, name))
        for name, value in module.options.items()
    )
    return ModuleView(module.name, module.shipped.module.title, module.port, module.interval, options)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _origin(site: Site, host: Host, module: str, option: str) -> str:
    for way, uses in reversed(list(module_uses(site, host))):
        if module in uses and option in uses[module].options:
            return f"the group {way[2]}" if way[0] == "fleet" else "the host"
    return DEFAULT
