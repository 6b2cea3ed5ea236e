"""What the configuration and the lock file put on each node, and the parts that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.licences import debian_licence
from obstack.catalog.parts import Deployed, Part, debian_part, release_part


class PackageFacts(Protocol):
    """What a package file says of itself."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def version(self) -> str:
        """Its version, complete with epoch."""

    @property
    def architecture(self) -> str:
        """Its architecture, or `all`."""

    @property
    def copyright(self) -> str | None:
        """The text of its copyright file."""


@dataclass(frozen=True)
class Deployment:
    """What one node runs: its artifacts by name, and the files of their archives by digest."""

    node: str
    artifacts: Mapping[str, Artifact]
    files: Mapping[str, Path]


def gather(
    deployments: Iterable[Deployment],
    describe: Callable[[Path], PackageFacts],
    licences: Mapping[str, str],
    announce: Callable[[str, int, int], None],
) -> tuple[Deployed, ...]:
    """Given what each node runs, return each artifact once, with its parts, in the order of name and platform.

    `describe` reads a package file; `licences` has those of releases by component; `announce` is told of the progress.
    Raises what `describe` raises.
    """
    nodes: dict[tuple[str, str, str], list[str]] = {}
    found: dict[tuple[str, str, str], tuple[Artifact, Mapping[str, Path]]] = {}
    for deployment in deployments:
        for name, artifact in deployment.artifacts.items():
            key = (name, artifact.architecture, artifact.entry.identity)
            nodes.setdefault(key, []).append(deployment.node)
            found[key] = (artifact, deployment.files)
    known: dict[str, Part] = {}
    archives = sum(len(artifact.archives) for artifact, _ in found.values())
    done = 0
    gathered = []
    for key, (artifact, files) in sorted(found.items()):
        parts = []
        for archive in artifact.archives:
            announce(f"Reading {archive.entry.name}", done, archives)
            digest = archive.entry.digest
            if digest not in known:
                known[digest] = _part(artifact, archive, files, describe, licences)
            parts.append(known[digest])
            done += 1
        gathered.append(Deployed(artifact, tuple(parts), tuple(sorted(nodes[key]))))
    return tuple(gathered)


def _part(
    artifact: Artifact,
    archive: Archive,
    files: Mapping[str, Path],
    describe: Callable[[Path], PackageFacts],
    licences: Mapping[str, str],
) -> Part:
    if archive.entry.kind != "deb":
        return release_part(artifact, archive, licences.get(artifact.component, ""))
    facts = describe(files[archive.entry.digest])
    licence = debian_licence(facts.copyright, facts.name)
    return debian_part(facts.name, facts.version, facts.architecture, artifact.suite or "", archive, licence)
