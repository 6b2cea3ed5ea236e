"""The cache of archives: a folder laid out by digest, which can serve another machine as a mirror as it is.

A file has its final name only after its SHA-256 was compared, so that whatever is there is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from obstack.agent.wire import ArchiveEntry
from obstack.errors import ChangeFailed

CHUNK: Final = 1 << 20
WORKSPACE: Final = "fetch-"
ABANDONED_S: Final = 24 * 3600


class ArtifactCache:
    """The archives below `folder`, as `sha256/<digest>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archives = folder / "sha256"

    def find(self, entry: ArchiveEntry) -> Path | None:
        """Given an archive, return its file, or None when it is not here in full.

        The content was verified when it came in, and the agent verifies it again before it unpacks anything; here
        only its size is looked at, so that a run that changes nothing does not read every archive.
        """
        place = self._archives / entry.digest
        try:
            return place if place.stat().st_size == entry.size else None
        except FileNotFoundError:
            return None

    def look(self, entry: ArchiveEntry) -> bool | None:
        """Given an archive, read it and return whether it is what it should be; None when it is not here.

        Unlike `verify` it changes nothing.
        """
        place = self._archives / entry.digest
        try:
            return place.stat().st_size == entry.size and digest_of(place) == entry.digest
        except FileNotFoundError:
            return None

    def verify(self, digest: str) -> Path | None:
        """Given a digest, read the archive and return its file; None when it is not here. A damaged one is removed."""
        place = self._archives / digest
        if not place.is_file():
            return None
        if digest_of(place) == digest:
            return place
        place.unlink()
        return None

    def take(self, file: Path, *, name: str, digest: str, origin: str) -> Path:
        """Given a file that was fetched from `origin`, verify it, move it into the cache and return its place there.

        Raises ChangeFailed, naming both digests, when it is not the archive `name` that was asked for.
        """
        found = digest_of(file)
        if found != digest:
            raise ChangeFailed(
                code="archive-digest-mismatch",
                what=f"What was fetched is not the archive {name} that was asked for.",
                where=f"{origin}: expected SHA-256 {digest}, found {found}",
                state="it was thrown away; nothing was changed",
                do="run the command again; if it stays so, do not trust this place and find out who changed the file",
            )
        place = self._archives / digest
        self._archives.mkdir(parents=True, exist_ok=True)
        with open(file, "rb") as content:
            os.fsync(content.fileno())
        os.replace(file, place)
        return place

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Return an empty folder on the cache's file system, which is removed at the end of the context."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with tempfile.TemporaryDirectory(prefix=WORKSPACE, dir=self._folder) as folder:
            yield Path(folder)

    def _sweep(self) -> None:
        """Remove what runs that were killed have left behind."""
        for folder in self._folder.glob(f"{WORKSPACE}*"):
            if time.time() - folder.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


def digest_of(file: Path) -> str:
    """Given a file, return its SHA-256."""
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
