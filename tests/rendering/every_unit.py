"""Every unit that this program can put on a machine: those of a server, and of a host with every shipped module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.modules import ModuleSet
from obstack.edges.modulefile import load_modules
from obstack.model.module import OptionType
from obstack.model.secret import Secret
from obstack.plan.generation import build_generation
from obstack.render.host import ROLE, render_host
from obstack.render.materials import HostMaterials
from obstack.render.node import render_node
from obstack.render.tree import Rendering
from rendering.grafana import grafana_materials, grafana_site
from rendering.hosts import fleet_site, host_artifacts, host_materials, server_materials
from rendering.settled import KEY, SERVER, full_site, materials, small_site

HOST = "web-1"


def every_unit() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each unit file, a name as often as its unit can look different."""
    renewal = ("/srv/observability/observability", "cert", "renew", "--if-due")
    yield from _units(render_node(small_site(), SERVER, materials()))
    yield from _units(render_node(full_site(), SERVER, materials()))
    yield from _units(render_node(grafana_site(), SERVER, grafana_materials()))
    modules = load_modules()
    site = fleet_site({HOST: {"address": "192.0.2.10", "modules": _uses(modules)}})
    yield from _units(render_node(site, SERVER, replace(server_materials(), renewal=renewal), modules))
    yield from _units(render_host(site, HOST, SERVER, _materials(modules), modules), ROLE)


def _units(rendering: Rendering, role: str = "observability") -> Iterator[tuple[str, bytes]]:
    manifest, blobs = build_generation(HOST, role, SERVER, rendering, KEY)
    content = {file.path: blobs[file.digest] for file in manifest.files}
    for unit in manifest.units:
        if unit.file.endswith(".service"):
            yield unit.file.rpartition("/")[2], content[unit.file]


def _uses(modules: ModuleSet) -> dict[str, Any]:
    """Every module, with each option that wants a yes or a secret, so that whatever hangs on it is there too."""
    given = {OptionType.BOOLEAN: True, OptionType.SECRET: "secret:database-password"}
    return {
        name: {"options": {key: given[option.type] for key, option in shipped.module.options.items()
                           if option.type in given}}
        for name, shipped in modules.items()
    }  # fmt: skip


def _materials(modules: ModuleSet) -> HostMaterials:
    artifacts = host_artifacts()
    for shipped in modules.values():
        artifact = shipped.module.artifact
        if artifact is not None:
            programs = {program: places[0] for program, places in artifact.programs.items()}
            entry = ArchiveEntry(f"{artifact.name}.deb", "0" * 64, 1000, "deb")
            artifacts[artifact.name] = Artifact(
                artifact.name, "1.0-1", "debian", "trixie", "amd64", (Archive(entry, "pool/x.deb"),), programs
            )
    return replace(host_materials(), artifacts=artifacts, secrets={"database-password": Secret("correct horse")})
