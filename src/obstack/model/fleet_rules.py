"""The rules about the monitored hosts that need only the site; those about their modules need the modules too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

from obstack.model.host import ModuleUse
from obstack.model.rules import SERVER_LABELS, Finding, Path, interval, taken_labels
from obstack.model.scalars import duration_seconds
from obstack.model.site import Site
from obstack.model.words import nearest

LONGEST_CERTIFICATE_S: Final = 90 * 86400
SHORTEST_CERTIFICATE_S: Final = 60


def fleet_rules(site: Site) -> list[Finding]:
    """Given a site whose sections are valid each by itself, return every rule about its hosts that is broken."""
    return [
        *_server_address(site),
        *_names(site),
        *_addresses(site),
        *_groups(site),
        *_canaries(site),
        *_probes(site),
        *_series(site),
        *_certificates(site),
    ]


def _server_address(site: Site) -> Iterator[Finding]:
    if site.hosts and site.server.address is None:
        yield Finding(
            ("server", "address"),
            "is needed as soon as there are hosts: they admit it, and send their logs to it",
            "Add it below server, for example: address: 192.0.2.1",
            ("server",),
        )


def _names(site: Site) -> Iterator[Finding]:
    if site.server.name in site.hosts:
        yield Finding(
            ("hosts", site.server.name),
            f"must not be {site.server.name}, the name of the server itself (server.name)",
            "Rename the file of the host; the server watches itself already.",
            rests_on=(("server", "name"),),
        )


def _addresses(site: Site) -> Iterator[Finding]:
    """Copying a host's file and leaving its address is the likeliest slip; two names for one address may be."""
    owners: dict[str, str] = {}
    server = _spelled(site.server.address or "")
    for name, host in site.hosts.items():
        path: Path = ("hosts", name, "address")
        address = _spelled(host.address)
        if address == server:
            yield Finding(
                path,
                f"must not be {host.address}, the address of the server (server.address)",
                "Correct one of the two; the server watches itself already.",
                rests_on=(("server", "address"),),
            )
        elif address in owners:
            other = owners[address]
            yield Finding(
                path,
                f"must not be {host.address}, which is also the address of {other}",
                "Give each host its own; two machines behind one address need a name each.",
                rests_on=(("hosts", other, "address"),),
            )
        owners.setdefault(address, name)


def _spelled(address: str) -> str:
    """Return an address in its one spelling: that of an IPv6 address can be written in many ways."""
    return str(ipaddress.IPv6Address(address)) if ":" in address else address


def _groups(site: Site) -> Iterator[Finding]:
    known = site.fleet.groups
    for name, host in site.hosts.items():
        for index, group in enumerate(host.groups):
            path: Path = ("hosts", name, "groups", index)
            if group in host.groups[:index]:
                yield Finding(path, f"{group} is listed twice", "Remove one of the two.")
            elif group not in known:
                listed = f"Groups: {', '.join(known)}." if known else "Add it below fleet.groups in global.yaml."
                yield Finding(
                    path,
                    f"{group} is not a group of fleet.groups",
                    f"{nearest(group, known)}{listed}",
                    rests_on=(("fleet", "groups"),),
                )


def _canaries(site: Site) -> Iterator[Finding]:
    for index, canary in enumerate(site.fleet.canaries):
        path: Path = ("fleet", "canaries", index)
        if canary in site.fleet.canaries[:index]:
            yield Finding(path, f"{canary} is listed twice", "Remove one of the two.")
        elif canary not in site.hosts:
            hint = nearest(canary, site.hosts)
            yield Finding(path, f"{canary} is not a host", f"{hint}observability host list    shows the hosts")


def _probes(site: Site) -> Iterator[Finding]:
    for index, probe in enumerate(site.blackbox.probes):
        for position, host in enumerate(probe.hosts):
            path: Path = ("blackbox", "probes", index, "hosts", position)
            if host in probe.hosts[:position]:
                yield Finding(path, f"{host} is listed twice", "Remove one of the two.")
            elif host not in site.hosts:
                hint = nearest(host, site.hosts)
                yield Finding(path, f"{host} is not a host", f"{hint}observability host list    shows the hosts")


def _series(site: Site) -> Iterator[Finding]:
    """Judge what hosts and groups say of their series: labels, and how often they are taken."""
    for name, group in site.fleet.groups.items():
        path: Path = ("fleet", "groups", name)
        yield from taken_labels((*path, "labels"), group.labels, SERVER_LABELS)
        yield from _intervals(path, group.scrape_interval, group.modules)
    for name, host in site.hosts.items():
        yield from taken_labels(("hosts", name, "labels"), host.labels, SERVER_LABELS)
        yield from _intervals(("hosts", name), host.scrape_interval, host.modules)


def _intervals(path: Path, own: str | None, modules: Mapping[str, ModuleUse]) -> Iterator[Finding]:
    if own is not None:
        yield from interval((*path, "scrape_interval"), own)
    for module, use in modules.items():
        if use.scrape_interval is not None:
            yield from interval((*path, "modules", module, "scrape_interval"), use.scrape_interval)


def _certificates(site: Site) -> Iterator[Finding]:
    lifetime = site.certificates.lifetime
    if not SHORTEST_CERTIFICATE_S <= duration_seconds(lifetime) <= LONGEST_CERTIFICATE_S:
        yield Finding(
            ("certificates", "lifetime"),
            f"must be at least 1m and at most 90d, but is {lifetime}",
            "Write for example: lifetime: 90d",
        )
