"""A monitored host whose modules are those of a test: rendered here, applied by its own agent, with real programs."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from contract.cache import cache_folder
from contract.staging import Memory
from machine.library.machine import Machine
from obstack.agent import wire
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import NGINX, Component
from obstack.catalog.module_component import module_component
from obstack.catalog.modules import ModuleSet, ShippedModule
from obstack.cli.progress import QuietReporter
from obstack.edges.agent_archive import agent_folder
from obstack.edges.cache import ArtifactCache
from obstack.edges.certificates import InternalAuthority
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.packages import DebianPackages
from obstack.edges.local_channel import LocalChannel
from obstack.edges.modulefile import load_modules
from obstack.model.components import ArtifactChoice
from obstack.model.layout import Layout, Manager
from obstack.model.module import Module, ModuleRules
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.ports import Contents
from obstack.render.host import ROLE, render_host
from obstack.render.materials import HostMaterials
from rendering.settled import KEY

SERVER: Final = Layout("", Manager.SYSTEMD)
NAME: Final = "web-1"


def shipped(manifest: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> ShippedModule:
    """Return a module of a test."""
    return ShippedModule(Module.model_validate(manifest), ModuleRules(), files=files or {})


@cache
def programs(suite: str, names: tuple[str, ...]) -> Mapping[str, tuple[Artifact, Mapping[str, Path]]]:
    """Return the artifacts of shipped modules and the proxy's, with their archives; fetched the first time."""
    folder = cache_folder("programs") / suite
    store = ArtifactCache(folder / "cache")
    packages = DebianPackages(folder / "apt", store, QuietReporter())
    artifacts = [module.module.artifact for name, module in load_modules().items() if name in names]
    components: list[Component] = [NGINX, *(module_component(artifact) for artifact in artifacts if artifact)]
    found = {}
    for component in components:
        choice = ArtifactChoice(suite=suite)
        artifact = packages.resolve(component, choice, own_architecture(), runs_on=suite)
        files = {archive.entry.digest: store.find(archive.entry) for archive in artifact.archives}
        found[component.name] = (artifact, {digest: file for digest, file in files.items() if file is not None})
    return found


@dataclass
class Hosting:
    """One machine as a host. `own` are modules of the test beside those that are shipped."""

    machine: Machine
    suite: str
    cache: Path
    shipped: Sequence[str]
    own: ModuleSet = field(default_factory=dict)
    authority: InternalAuthority = field(default_factory=lambda: InternalAuthority(Memory(), "example"))

    def apply(self, uses: Mapping[str, Any], own: ModuleSet | None = None, **environment: str) -> wire.Reply:
        """Make the machine a host that uses these modules; the agent runs with this environment."""
        host = {"address": self.machine.address, "logs": False, "firewall": False, "modules": uses}
        site = Site.model_validate(
            {
                "domain": "observability.example.org",
                "server": {"name": "mon-1", "address": "192.0.2.1"},
                "gates": {"deadline": "20s"},
                "hosts": {NAME: host},
            }
        )
        modules = {name: load_modules()[name] for name in self.shipped} | dict(self.own) | dict(own or {})
        found = programs(self.suite, tuple(self.shipped))
        now = time.time()
        materials = HostMaterials(
            secrets={"account-password": Secret("correct-horse")},
            certificate=self.authority.certificate("host", [NAME, self.machine.address], now, purpose="both"),
            scrape_authority=self.authority.authority_pem("scrape", now),
            gate=self.authority.self_signed("gate", now),
            artifacts={name: artifact for name, (artifact, _) in found.items()},
        )
        manifest, blobs = build_generation(NAME, ROLE, SERVER, render_host(site, NAME, SERVER, materials, modules), KEY)
        files = {digest: file for _, archives in found.values() for digest, file in archives.items()}
        return self.ask(wire.Request("apply", {}, manifest, who="a test"), Contents(blobs, files), **environment)

    def ask(self, request: wire.Request, contents: Contents | None = None, **environment: str) -> wire.Reply:
        """Ask the agent of the machine."""
        folder = agent_folder(self.cache)
        if self.machine.run(["test", "-e", str(folder)]).code:
            self.machine.push(folder, str(folder))
        enter = self.cache / "enter"
        enter.write_text(f'#!/bin/sh\nexec {shlex.join(self.machine.entered(["/usr/bin/python3"]))} "$@"\n')
        enter.chmod(0o755)
        channel = LocalChannel(NAME, "", self.cache, python=str(enter), environment=tuple(environment.items()))
        return channel.ask(request, contents or Contents({}, {}), lambda _: None)

    def pids(self, *units: str) -> list[int]:
        """Return the processes of these units."""
        return [self.machine.main_pid(unit) for unit in units]
