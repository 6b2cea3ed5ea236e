"""Every module that this program brings can be rendered for a host as it is, and all of them together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from obstack.agent import paths
from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.modules import module_findings
from obstack.edges.modulefile import load_modules
from obstack.errors import UsageError
from obstack.model.module import ModuleArtifact
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.host import ROLE, render_host
from obstack.render.materials import HostMaterials
from obstack.render.node import render_node
from rendering.hosts import host_materials, server_materials
from rendering.settled import KEY, SERVER

MODULES: Final = load_modules()


def artifact(described: ModuleArtifact) -> Artifact:
    entry = ArchiveEntry(f"{described.name}.deb", "ab" * 32, 1000, "deb")
    return Artifact(
        component=described.name,
        version="1.0-1",
        source="debian",
        suite="trixie",
        architecture="amd64",
        archives=(Archive(entry, f"pool/main/{described.name}.deb"),),
        binaries={name: places[0] for name, places in described.programs.items()},
    )


def settled() -> HostMaterials:
    materials = host_materials()
    described = [module.module.artifact for module in MODULES.values() if module.module.artifact is not None]
    return replace(materials, artifacts={**materials.artifacts, **{item.name: artifact(item) for item in described}})


def site(*names: str) -> Site:
    uses: dict[str, Any] = {name: {} for name in names}
    host = {"address": "192.0.2.10", "modules": uses, "logs": False}
    server = {"name": "mon-1", "address": "192.0.2.1"}
    return Site.model_validate({"domain": "observability.example.org", "server": server, "hosts": {"web-1": host}})


@pytest.mark.parametrize("names", [*([name] for name in MODULES), list(MODULES)], ids=",".join)
def test_a_module_needs_nothing_but_its_name(names: list[str]) -> None:
    needed = [need for name in names for need in MODULES[name].module.needs]
    chosen = site(*dict.fromkeys((*names, *needed)))
    assert module_findings(chosen, MODULES) == []
    manifest, _ = build_generation("web-1", ROLE, SERVER, render_host(chosen, "web-1", SERVER, settled(), MODULES), KEY)
    paths.validate(manifest, "")
    files = {file.path for file in render_node(chosen, SERVER, server_materials(), MODULES).files}
    for name in names:
        if MODULES[name].rules.alerts:
            assert f"etc/prometheus/rules/modules-{name}.yml" in files


def php(**options: Any) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the links below /etc/php and the checkers of units of the machine that the module php-fpm leads to."""
    host = {"address": "192.0.2.10", "modules": {"php-fpm": {"options": options}}, "logs": False}
    server = {"name": "mon-1", "address": "192.0.2.1"}
    chosen = Site.model_validate({"domain": "o.example.org", "server": server, "hosts": {"web-1": host}})
    rendered = render_host(chosen, "web-1", SERVER, settled(), MODULES)
    links = {link.path: link.target for link in rendered.links if link.path.startswith("/etc/php")}
    return links, {unit.name: unit.check for unit in rendered.units if not unit.file and unit.name.startswith("php")}


def test_a_snippet_goes_where_an_option_says_and_nowhere_without_it() -> None:
    assert php() == ({}, {})
    assert php(version="8.4") == (
        {"/etc/php/8.4/fpm/pool.d/zz-observability.conf": "etc/observability-exporters/phpfpm-exporter/pool.conf"},
        {"php8.4-fpm.service": ("/usr/sbin/php-fpm8.4", "-t")},
    )


def test_a_value_cannot_lead_a_link_elsewhere() -> None:
    with pytest.raises(UsageError, match="the place of a link"):
        php(version="8.4/../../../etc/cron.d")
