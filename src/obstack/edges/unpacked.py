"""What an artifact unpacks to, found out by the agent's own unpacking into a folder that is thrown away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from obstack.agent.faults import AgentError
from obstack.agent.inventory import Inventory, take_inventory
from obstack.agent.unpack import unpack_artifact
from obstack.catalog.artifact import Artifact
from obstack.ports import ArchiveCache


class Unpacked:
    """Answers what artifacts unpack to; nodes that have the same one share the answer."""

    def __init__(self, cache: ArchiveCache) -> None:
        self._cache = cache
        self._known: dict[str, Inventory | None] = {}

    def prepare(self, artifact: Artifact, files: Mapping[str, Path]) -> None:
        """Given an artifact and where its archives are by digest, find out what it unpacks to."""
        entry = artifact.entry
        if entry.identity in self._known:
            return
        with self._cache.workspace() as folder:
            try:
                unpack_artifact(entry, {digest: str(file) for digest, file in files.items()}, str(folder))
                self._known[entry.identity] = take_inventory(str(folder))
            except AgentError:  # an archive that is not what the lock names, which is told where archives are
                self._known[entry.identity] = None

    def inventory(self, artifact: Artifact) -> Inventory | None:
        """Given an artifact that was prepared, return what it unpacks to; None when its archives are damaged here."""
        return self._known[artifact.entry.identity]
