"""Whether what is unpacked on the nodes, and what is kept here, is what the lock names; every byte is read for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from obstack.agent import wire
from obstack.agent.inventory import Inventory
from obstack.catalog.artifact import Archive, Artifact
from obstack.errors import ChangeFailed
from obstack.operations.asking import read
from obstack.operations.deployed import Deployment
from obstack.ports import Channel, Reporter

AS_LOCKED: Final = "as locked"
DAMAGED: Final = "damaged"
OTHER: Final = "not the locked one"
MISSING: Final = "missing"
UNKNOWN: Final = "not compared"


@dataclass(frozen=True)
class Verified:
    """How one artifact of a node stands: `differences` are sentences about paths, `files` how many were read.

    `index` is the file on the node without which the next apply unpacks the artifact anew.
    """

    name: str
    version: str
    standing: str
    differences: tuple[str, ...] = ()
    files: int = 0
    index: str = ""

    @property
    def sound(self) -> bool:
        """Whether it is what the lock names, byte by byte."""
        return self.standing == AS_LOCKED


def verify_node(
    channel: Channel,
    deployment: Deployment,
    expect: Callable[[Artifact], Inventory | None],
    artifacts_folder: str,
    reporter: Reporter,
) -> tuple[Verified, ...]:
    """Given a node, what it must have, and how to know what an artifact unpacks to, return how each of its stands.

    `expect` returns None for an artifact whose archives are damaged here. Raises ChangeFailed when the node's answer is
    none, and the fault of its reply.
    """
    reply = read(channel, "verify", reporter)
    there = _artifacts(channel.node, reply.data.get("artifacts"))
    found = []
    for name, artifact in sorted(deployment.artifacts.items()):
        if name in there:
            found.append(_compare(artifact, *there[name], expect, artifacts_folder))
        else:
            found.append(Verified(name, artifact.version, MISSING, ("the generation in force has no such artifact",)))
    for name in sorted(set(there) - set(deployment.artifacts)):
        entry, _, _ = there[name]
        found.append(Verified(name, entry.version, OTHER, ("the configuration gives this node no such artifact",)))
    return tuple(found)


def differences(expected: Inventory, found: Inventory) -> tuple[str, ...]:
    """Given what an artifact unpacks to and what is there, return a sentence for each path that is not the same."""
    told = []
    for path in sorted(expected.keys() | found.keys()):
        if path not in found:
            told.append(f"{path} is gone")
        elif path not in expected:
            told.append(f"{path} is of no archive")
        elif expected[path] != found[path]:
            told.append(f"{path} is {_short(found[path])} instead of {_short(expected[path])}")
    return tuple(told)


def broken_archives(
    artifacts: Mapping[str, Mapping[str, Artifact]], look: Callable[[Archive], bool | None]
) -> tuple[dict[str, Archive], int, int]:
    """Given the artifacts of the lock by platform, look at each archive once.

    Return those that are not what the lock names, by digest; how many were read; and how many are not here. `look`
    returns None for an archive that is not here.
    """
    archives = {
        archive.entry.digest: archive
        for of_platform in artifacts.values()
        for artifact in of_platform.values()
        for archive in artifact.archives
    }
    looks = {digest: look(archive) for digest, archive in archives.items()}
    broken = {digest: archives[digest] for digest, whole in looks.items() if whole is False}
    absent = sum(whole is None for whole in looks.values())
    return broken, len(archives) - absent, absent


def _compare(
    artifact: Artifact,
    entry: wire.ArtifactEntry,
    inventory: Inventory,
    linked: bool,
    expect: Callable[[Artifact], Inventory | None],
    folder: str,
) -> Verified:
    files = sum(what.startswith("file ") for what in inventory.values())
    index = f"{folder}/{entry.identity}.json"
    if entry.identity != artifact.entry.identity:
        sentence = f"version {entry.version} is there, the lock names {artifact.version}"
        if entry.version == artifact.version:
            sentence = "it was unpacked from other archives than the lock names"
        return Verified(artifact.component, entry.version, OTHER, (sentence,), files, index)
    expected = expect(artifact)
    if expected is None:
        return Verified(artifact.component, entry.version, UNKNOWN, ("its archive is damaged here",), files, index)
    told = differences(expected, inventory) + (() if linked else ("the generation in force does not lead to it",))
    return Verified(artifact.component, entry.version, DAMAGED if told else AS_LOCKED, told, files, index)


def _artifacts(node: str, data: Any) -> dict[str, tuple[wire.ArtifactEntry, Inventory, bool]]:
    """Given what a node answered, whoever wrote it, return its artifacts. Raises ChangeFailed."""
    try:
        found = {}
        for item in data:
            rest = dict(item)
            inventory, linked = rest.pop("inventory"), rest.pop("linked")
            rest.pop("identity")  # it follows from the rest, and the node's word for it counts for nothing
            if not all(isinstance(text, str) for pair in inventory.items() for text in pair):
                raise ValueError("an inventory is texts by path")
            entry = wire.decode(wire.ArtifactEntry, rest)
            found[entry.name] = (entry, dict(inventory), linked is True)
    except (wire.WireError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ChangeFailed(
            code="answer-unreadable",
            what=f"What {node} says about its artifacts cannot be read.",
            where=f"{node}: {error}",
            state="nothing was changed",
            do="use the same version on both ends: observability version",
        ) from error
    return found


def _short(text: str) -> str:
    """Given what is said of a path, return it with digests short enough to be read."""
    return " ".join(word[:12] if len(word) == 64 else word for word in text.split(" "))
