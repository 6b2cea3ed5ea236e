"""From the configuration to what a node must be: the one pipeline that every verb uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from obstack.agent import wire
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import COMPONENTS
from obstack.model.layout import Layout, Manager
from obstack.model.rules import secret_references
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.ports import Clock, Contents, SiteSecrets
from obstack.render.materials import Certificate, Materials
from obstack.render.node import render_node

ROLE = "observability"


@dataclass(frozen=True)
class Desired:
    """What a node must be: the site it comes from, the manifest, and where its contents are had from."""

    site: Site
    manifest: wire.Manifest
    contents: Contents


class Authority(Protocol):
    """What signs the front door's certificate."""

    def certificate(self, name: str, names: Sequence[str], now: float) -> Certificate:
        """Given a name to keep it under, host names and the time, return a certificate; the old one if it serves."""


@dataclass(frozen=True)
class Provision:
    """The artifacts of a site, by component, and the verified files that they are unpacked from, by digest."""

    artifacts: Mapping[str, Artifact]
    files: Mapping[str, Path]


def components_of(layout: Layout) -> tuple[str, ...]:
    """Given a node's layout, return the components that it runs: a server has a journal of its own."""
    return tuple(name for name in COMPONENTS if name != "journal-remote" or layout.manager is Manager.SUPERVISOR)


def build_desired(
    site: Site, layout: Layout, provision: Provision, *, secrets: SiteSecrets, authority: Authority, clock: Clock
) -> Desired:
    """Settle what is drawn or signed, render the node, and return its generation. Equal settings give equal bytes."""
    materials = settle_materials(site, provision.artifacts, secrets=secrets, authority=authority, clock=clock)
    rendering = render_node(site, layout, materials)
    manifest, blobs = build_generation(site.server.name, ROLE, layout, rendering)
    return Desired(site, manifest, Contents(blobs, provision.files))


def settle_materials(
    site: Site, artifacts: Mapping[str, Artifact], *, secrets: SiteSecrets, authority: Authority, clock: Clock
) -> Materials:
    """Return everything that rendering needs beside the site. What was settled earlier is returned again."""
    names = tuple(dict.fromkeys((site.domain, site.server.name, "localhost", "127.0.0.1")))
    return Materials(
        secrets={name: secrets.need(name) for _, name in secret_references(site)},
        logins=secrets.logins(site),
        gate=secrets.gate_login(),
        certificate=authority.certificate("front-door", names, clock.now()),
        artifacts=artifacts,
    )
