"""What rendering yields, before it becomes a manifest: files with content, services, checks and gates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from obstack.agent.wire import (
    ArtifactEntry,
    CheckEntry,
    DirectoryEntry,
    GateEntry,
    LinkEntry,
    UnitEntry,
    UserEntry,
)
from obstack.render.service import Service


@dataclass(frozen=True)
class RenderedFile:
    """One file of the tree with its content. A `secret` file is never shown in plans, diffs or evidence."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False


@dataclass(frozen=True)
class Rendering:
    """What one component contributes to a node. The node is the sum of its components, in dependency order.

    `units` are those that no Service describes: the system's own, and the one that runs only at boot.
    """

    files: tuple[RenderedFile, ...] = ()
    directories: tuple[DirectoryEntry, ...] = ()
    links: tuple[LinkEntry, ...] = ()
    users: tuple[UserEntry, ...] = ()
    services: tuple[Service, ...] = ()
    units: tuple[UnitEntry, ...] = ()
    checks: tuple[CheckEntry, ...] = ()
    gates: tuple[GateEntry, ...] = ()
    artifacts: tuple[ArtifactEntry, ...] = ()


def combine(parts: Iterable[Rendering]) -> Rendering:
    """Given the components' renderings, return their sum, each kind in the order given."""
    parts = tuple(parts)
    return Rendering(
        files=tuple(item for part in parts for item in part.files),
        directories=tuple(item for part in parts for item in part.directories),
        links=tuple(item for part in parts for item in part.links),
        users=tuple(item for part in parts for item in part.users),
        services=tuple(item for part in parts for item in part.services),
        units=tuple(item for part in parts for item in part.units),
        checks=tuple(item for part in parts for item in part.checks),
        gates=tuple(item for part in parts for item in part.gates),
        artifacts=tuple(item for part in parts for item in part.artifacts),
    )
