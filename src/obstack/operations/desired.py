"""From the configuration to what a node must be: the one pipeline that every verb uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from obstack.agent import wire
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import JOURNAL_REMOTE, NFTABLES, Component
from obstack.catalog.host_components import host_components
from obstack.catalog.lock import Platform
from obstack.catalog.modules import ModuleSet, ResolvedModule, resolve_host, resolve_hosts
from obstack.model.layout import Layout, Manager
from obstack.model.module import OptionType
from obstack.model.rules import value_references
from obstack.model.site import Site
from obstack.operations.door import Sources, settle_door
from obstack.operations.lock import lockable
from obstack.plan.certificates import FRONT_DOOR, RECEIVER, SCRAPE_CLIENT, Purpose, Signer, host_names
from obstack.plan.door import Door
from obstack.plan.generation import build_generation
from obstack.ports import Clock, Contents, SiteSecrets
from obstack.render.firewall import guards_server
from obstack.render.host import ROLE as HOST_ROLE
from obstack.render.host import render_host
from obstack.render.journal_receive import shipping_hosts
from obstack.render.materials import Certificate, HostMaterials, Materials
from obstack.render.node import NO_MODULES, render_node
from obstack.render.sizes import whole_seconds

ROLE: Final = "observability"
HOST_LAYOUT: Final = Layout("", Manager.SYSTEMD)
"""Where things are on every monitored host."""


@dataclass(frozen=True)
class Desired:
    """What a node must be: the site it comes from, the manifest, and where its contents are had from.

    `door` is what was decided for the front door of a server.
    """

    site: Site
    manifest: wire.Manifest
    contents: Contents
    door: Door | None = None


class Authority(Protocol):
    """What signs the certificates of server and hosts."""

    def certificate(
        self,
        name: str,
        names: Sequence[str],
        now: float,
        lifetime: float = ...,
        purpose: Purpose = ...,
        by: Signer = ...,
    ) -> Certificate:
        """Given a name to keep it under, host names and the time, return a certificate; the old one if it serves."""

    def self_signed(self, name: str, now: float, lifetime: float = ...) -> Certificate:
        """Given a name and the time, return a client certificate that signed itself; the old one if it serves."""

    def authority_pem(self, by: Signer, now: float) -> str:
        """Given a signer and the time, return the certificate of that authority."""


@dataclass(frozen=True)
class Provision:
    """The artifacts of a site, by component, and the verified files that they are unpacked from, by digest."""

    artifacts: Mapping[str, Artifact]
    files: Mapping[str, Path]


def components_of(layout: Layout, site: Site) -> tuple[str, ...]:
    """Given the server's layout, return the components that it runs.

    A server has a journal of its own, so that it needs a receiver only for the journals of hosts. A private root has
    no firewall.
    """
    needed = {
        JOURNAL_REMOTE.name: layout.manager is Manager.SUPERVISOR or bool(shipping_hosts(site)),
        NFTABLES.name: guards_server(site, layout),
    }
    return tuple(name for name in lockable(site) if needed.get(name, True))


def platform_components(
    site: Site, modules: ModuleSet, platforms: Mapping[str, Platform]
) -> dict[Platform, dict[str, Component]]:
    """Given the platforms of hosts by name, return the components that the hosts of each platform need together."""
    resolved = resolve_hosts(site, modules) if platforms else {}
    wanted: dict[Platform, dict[str, Component]] = {}
    seen: set[tuple[Platform, int, bool]] = set()
    for name, platform in platforms.items():
        host = site.hosts[name]
        # Hosts that say the same share one answer of resolve_hosts, which then is looked at once.
        like = (platform, id(resolved[name]), host.firewall)
        if like not in seen:
            seen.add(like)
            wanted.setdefault(platform, {}).update(host_components(host, resolved[name]))
    return wanted


def build_desired(
    site: Site,
    layout: Layout,
    provision: Provision,
    modules: ModuleSet = NO_MODULES,
    *,
    secrets: SiteSecrets,
    authority: Authority,
    clock: Clock,
    renewal: tuple[str, ...] = (),
    deploy: tuple[str, ...] = (),
    doors: Sources | None = None,
    dashboards: Mapping[str, Mapping[str, Any]] | None = None,
) -> Desired:
    """Settle what is drawn or signed, render the server, and return its generation. Equal settings give equal bytes.

    A site without hosts needs no modules. `renewal` and `deploy` are the commands that renew certificates and put one
    in force; `doors` is where certificates of the front door are found that the site has not made itself; `dashboards`
    are Grafana's documents of the site's own.
    """
    door = settle_door(site, lambda: own_certificate(site, authority, clock), doors, clock.now())
    materials = settle_materials(
        site, provision.artifacts, secrets=secrets, authority=authority, clock=clock, certificate=door.certificate
    )
    acme = doors is not None and site.front_door.certificate.mode == "acme"
    authority_of_acme = doors.authority(site)[0] if doors is not None and acme else ""
    materials = replace(
        materials, renewal=renewal, deploy=deploy, acme_authority=authority_of_acme, dashboards=dashboards or {}
    )
    rendering = render_node(site, layout, materials, modules)
    key = secrets.node_key(site.server.name)
    manifest, blobs = build_generation(site.server.name, ROLE, layout, rendering, key)
    return Desired(site, manifest, Contents(blobs, provision.files), door)


def build_host_desired(
    site: Site,
    name: str,
    modules: ModuleSet,
    provision: Provision,
    *,
    secrets: SiteSecrets,
    authority: Authority,
    clock: Clock,
) -> Desired:
    """Given a site, a host's name, all modules and its artifacts, return the host's generation.

    What is drawn or signed is settled as for the server; equal settings give equal bytes.
    """
    materials = settle_host_materials(
        site, name, modules, provision.artifacts, secrets=secrets, authority=authority, clock=clock
    )
    rendering = render_host(site, name, HOST_LAYOUT, materials, modules)
    manifest, blobs = build_generation(name, HOST_ROLE, HOST_LAYOUT, rendering, secrets.node_key(name))
    return Desired(site, manifest, Contents(blobs, provision.files))


def settle_host_materials(
    site: Site,
    name: str,
    modules: ModuleSet,
    artifacts: Mapping[str, Artifact],
    *,
    secrets: SiteSecrets,
    authority: Authority,
    clock: Clock,
) -> HostMaterials:
    """Return everything that rendering a host needs beside the site. What was settled earlier is returned again."""
    now, lifetime = clock.now(), whole_seconds(site.certificates.lifetime)
    names = (name, site.hosts[name].address)
    kept, kept_gate = host_names(name)
    return HostMaterials(
        secrets={secret: secrets.need(secret) for secret in _host_secrets(resolve_host(site, modules, name))},
        certificate=authority.certificate(kept, names, now, lifetime, "both"),
        scrape_authority=authority.authority_pem("scrape", now),
        gate=authority.self_signed(kept_gate, now, lifetime),
        artifacts=artifacts,
    )


def _host_secrets(modules: Iterable[ResolvedModule]) -> Iterator[str]:
    for module in modules:
        for name, option in module.shipped.options.items():
            if option.type is OptionType.SECRET and name in module.options:
                yield str(module.options[name]).removeprefix("secret:")


def settle_materials(
    site: Site,
    artifacts: Mapping[str, Artifact],
    *,
    secrets: SiteSecrets,
    authority: Authority,
    clock: Clock,
    certificate: Certificate,
) -> Materials:
    """Return everything that rendering needs beside the site. What was settled earlier is returned again.

    `certificate` is the one that the front door shows.
    """
    now, lifetime = clock.now(), whole_seconds(site.certificates.lifetime)
    # The hosts know the site's own authority, and no other: what a door for people shows is nothing to them.
    apart = bool(site.hosts) and site.front_door.certificate.mode != "internal"
    return Materials(
        secrets={name: secrets.need(name) for _, name in value_references(site)},
        logins=secrets.logins(site),
        gate=secrets.gate_login(),
        certificate=certificate,
        internal=own_certificate(site, authority, clock, kept=RECEIVER) if apart else None,
        artifacts=artifacts,
        scrape=_scrape(authority, now, lifetime) if site.hosts else None,
    )


def own_certificate(site: Site, authority: Authority, clock: Clock, kept: str = FRONT_DOOR) -> Certificate:
    """Given a site, return its server's certificate, signed by its own authority; the old one if it serves."""
    address = (site.server.address,) if site.server.address else ()
    names = tuple(dict.fromkeys((site.domain, site.server.name, *address, "localhost", "127.0.0.1")))
    return authority.certificate(kept, names, clock.now(), whole_seconds(site.certificates.lifetime))


def _scrape(authority: Authority, now: float, lifetime: float) -> Certificate:
    return authority.certificate(SCRAPE_CLIENT, (SCRAPE_CLIENT,), now, lifetime, "client", "scrape")
