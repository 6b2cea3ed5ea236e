"""Every module that this program brings with all its options given, secrets and accounts among them."""

from __future__ import annotations

from typing import Any

import pytest

from obstack.agent import paths
from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.modules import ModuleSet, ShippedModule
from obstack.edges.modulefile import load_modules
from obstack.model.host import OptionValue
from obstack.model.module import Option, OptionType
from obstack.model.secret import Secret
from obstack.plan.generation import build_generation
from obstack.render.host import ROLE, render_host
from obstack.render.materials import HostMaterials
from obstack.render.node import render_node
from rendering.hosts import fleet_site, host_materials, server_materials
from rendering.settled import KEY, SERVER

MODULES = load_modules()
EXAMPLES: dict[OptionType, OptionValue] = {
    OptionType.INTEGER: 7,
    OptionType.NUMBER: 0.7,
    OptionType.BOOLEAN: True,
    OptionType.STRING: "text",
    OptionType.NAME: "name",
    OptionType.PATH: "/srv/example",
    OptionType.URL: "http://127.0.0.1:8080/status",
    OptionType.ADDRESS: "127.0.0.1:8080",
    OptionType.PORT: 9999,
    OptionType.DURATION: "5m",
    OptionType.SECRET: "secret:example",
    OptionType.LIST: ("one", "two"),
}


def value(option: Option) -> OptionValue:
    """Return a value that the option takes: its default, or an example."""
    if option.type is OptionType.BOOLEAN:
        return True
    if option.default is not None:
        return option.default
    return option.choices[0] if option.choices else EXAMPLES[option.type]


def uses(module: ShippedModule) -> dict[str, Any]:
    options = {name: value(option) for name, option in module.options.items()}
    needed = (*module.module.needs, *((module.module.exporter.through,) if module.module.exporter.through else ()))
    return {module.name: {"options": options}, **{name: {} for name in needed}}


def materials(modules: ModuleSet) -> HostMaterials:
    given = host_materials()
    artifacts = {**given.artifacts}
    for module in modules.values():
        wanted = module.module.artifact
        if wanted is not None:
            entry = ArchiveEntry(f"{wanted.name}.deb", "0" * 64, 1, "deb")
            binaries = {name: places[0] for name, places in wanted.programs.items()}
            artifacts[wanted.name] = Artifact(
                wanted.name, "1", "debian", "trixie", "amd64", (Archive(entry, "x.deb"),), binaries
            )
    secrets = {"example": Secret("correct-horse")}
    return HostMaterials(secrets, given.certificate, given.scrape_authority, given.gate, artifacts)


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_left_unfilled_and_no_secret_is_shown(name: str) -> None:
    site = fleet_site({"web-1": {"address": "192.0.2.10", "modules": uses(MODULES[name])}})
    rendering = render_host(site, "web-1", SERVER, materials(MODULES), MODULES)
    manifest, blobs = build_generation("web-1", ROLE, SERVER, rendering, KEY)
    paths.validate(manifest, "")
    assert f"{name} answers the server only" in [gate.name for gate in manifest.gates]
    for file in manifest.files:
        text = blobs[file.digest].decode()
        assert "${" not in text.replace("$${", ""), file.path
        assert file.secret or "correct-horse" not in text, file.path
    server, _ = build_generation(
        "mon-1", "observability", SERVER, render_node(site, SERVER, server_materials(), MODULES), KEY
    )
    paths.validate(server, "")
