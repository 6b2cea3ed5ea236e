"""A generation put where an agent would put it, with the programs of one Debian suite as its artifacts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from contract.debian import Distribution
from obstack.agent import wire
from obstack.catalog.artifact import Artifact
from obstack.edges.certificates import InternalAuthority
from obstack.model.layout import Layout
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.materials import Login, Materials
from obstack.render.node import render_node
from rendering import settled

JOURNAL = ("journal-remote", "journal-bridge")
NOW = 1_795_000_000.0


class Memory:
    """Keeps the authority for one test."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def kept(self, name: str) -> bytes | None:
        return self.contents.get(name)

    def keep(self, name: str, content: bytes) -> None:
        self.contents[name] = content

    def forget(self, name: str) -> bool:
        return self.contents.pop(name, None) is not None

    def drawing(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class Staged:
    """A tree on disk and the manifest it was written from."""

    manifest: wire.Manifest
    tree: Path
    scratch: Path

    def rewrite(self, path: str, old: str, new: str) -> None:
        """Damage one file of the tree, as a hand or a defect of ours would."""
        file = self.tree / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


def materials(distribution: Distribution, domain: str, now: float) -> Materials:
    """Return materials with a real certificate and real hashes, and the versions that the suite really has."""
    packages = {"nginx": "nginx", "prometheus": "prometheus"}
    packages |= {name: f"prometheus-{name}" for name in ("alertmanager", "node-exporter", "blackbox-exporter")}
    artifacts: dict[str, Artifact] = {}
    for component, artifact in settled.artifacts(distribution.suite).items():
        package = packages.get(component)
        version = distribution.version(package) if package else artifact.version
        artifacts[component] = dataclasses.replace(artifact, version=version)
    return Materials(
        secrets={"smtp-password": Secret("correct horse")},
        logins=(_login("admin", "a long enough password"),),
        gate=_login("observability-gate", "the password of the gate"),
        certificate=InternalAuthority(Memory(), "example").certificate("front-door", [domain], now),
        artifacts=artifacts,
    )


def _login(name: str, password: str) -> Login:
    return Login(name, bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode(), Secret(password))


def stage(site: Site, layout: Layout, settled_materials: Materials, distribution: Distribution, folder: Path) -> Staged:
    """Write the site's generation, without the journal's own programs, below `folder` and return it."""
    manifest, blobs = build_generation(
        "mon-1", "observability", layout, render_node(site, layout, settled_materials), settled.KEY
    )
    manifest = dataclasses.replace(
        manifest,
        units=tuple(unit for unit in manifest.units if unit.name not in JOURNAL),
        artifacts=tuple(artifact for artifact in manifest.artifacts if artifact.name not in JOURNAL),
        gates=tuple(gate for gate in manifest.gates if gate.unit not in JOURNAL),
    )
    return write_tree(manifest, blobs, distribution, folder)


def write_tree(manifest: wire.Manifest, blobs: Mapping[str, bytes], distribution: Distribution, folder: Path) -> Staged:
    """Write a generation below `folder`, with the programs of the suite as its artifacts, and return it."""
    tree = folder / "tree"
    for file in manifest.files:
        path = tree / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blobs[file.digest])
        path.chmod(file.mode)
    (tree / "artifacts").mkdir()
    for artifact in manifest.artifacts:
        (tree / "artifacts" / artifact.name).symlink_to(distribution.artifact(artifact.name))
    scratch = folder / "scratch"
    scratch.mkdir()
    return Staged(manifest, tree, scratch)
