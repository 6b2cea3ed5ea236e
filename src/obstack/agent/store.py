"""The content-addressed store: file contents by SHA-256, and unpacked artifacts by identity.

Nothing in it is ever changed in place. An entry appears whole by one rename, is verified on the way in and when it is
used, and goes only when no kept generation refers to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from typing import BinaryIO

from obstack.agent import durable, wire
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.paths import Paths

PARTIAL = ".partial"
CHUNK = 1 << 20

Index = list[list[object]]
"""What an unpacked artifact must look like: [path, kind, size or target, mode, mtime_ns] of everything in it."""


class Store:
    """The store of one machine."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def prepare(self) -> None:
        """Make the store's folders. Raises AgentError."""
        durable.make_directory(self.paths.state, 0o755)
        durable.make_directory(os.path.dirname(self.paths.blobs), 0o755)
        durable.make_directory(self.paths.blobs, 0o700)
        durable.make_directory(self.paths.artifacts, 0o755)

    # ------------------------------------------------------------------------------------------------- blobs

    def blob_path(self, digest: str) -> str:
        """Return where the content with this digest is, if it is here."""
        return os.path.join(self.paths.blobs, digest)

    def has_blob(self, digest: str) -> bool:
        """Tell whether the content is here and undamaged. Damaged content counts as absent and is replaced by `put`."""
        try:
            with open(self.blob_path(digest), "rb") as stream:
                return file_digest(stream) == digest
        except FileNotFoundError:
            return False

    def put_blob(self, digest: str, content: bytes) -> None:
        """Keep `content`. Raises AgentError when it is not what the digest promises, or cannot be written."""
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise mismatch(f"blob {digest}", digest, found)
        # Crash here: the blob is absent or whole; a file that was being written is replaced by the next attempt.
        durable.crash_point("blob")
        durable.write_file(self.blob_path(digest), content, 0o600)

    def read_blob(self, digest: str) -> bytes:
        """Return the content with this digest. Raises AgentError `blob-missing` when it is absent or damaged."""
        try:
            with open(self.blob_path(digest), "rb") as stream:
                content = stream.read()
            if hashlib.sha256(content).hexdigest() == digest:
                return content
        except FileNotFoundError:
            pass  # answered below, like damage: either way the content is not here
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="blob-missing",
            what="A file's content is no longer in the store, or is damaged there.",
            where=self.blob_path(digest),
            do="observability apply    (it sends the content again)",
        )

    # ---------------------------------------------------------------------------------------------- artifacts

    def artifact_path(self, identity: str) -> str:
        """Return the folder of the unpacked artifact, if it is here."""
        return os.path.join(self.paths.artifacts, identity)

    def index_path(self, identity: str) -> str:
        """Return the file that says what the unpacked artifact must look like."""
        return self.artifact_path(identity) + ".json"

    def has_artifact(self, identity: str) -> bool:
        """Tell whether the artifact is here and looks as it did when it was unpacked."""
        return os.path.isdir(self.artifact_path(identity)) and not self.artifact_changes(identity)

    def put_artifact(self, entry: wire.ArtifactEntry, archives: dict[str, str]) -> None:
        """Unpack an artifact from its verified archives (digest to path). Raises AgentError; then it is absent."""
        from obstack.agent import unpack  # only needed here: a run that changes nothing does not pay for it

        target = self.artifact_path(entry.identity)
        partial = target + PARTIAL
        durable.remove_tree(partial)
        durable.make_directory(partial, 0o755)
        with durable.explained(partial):
            unpack.unpack_artifact(entry, archives, partial)
        sync_tree(partial)
        durable.write_file(self.index_path(entry.identity), json.dumps(index(partial)).encode(), 0o600)
        # Crash here: a `.partial` folder, which recovery sweeps, and an index that the next attempt writes again.
        durable.crash_point("artifact")
        durable.remove_tree(target)
        durable.rename(partial, target)

    def artifact_changes(self, identity: str) -> list[str]:
        """Return the paths inside the artifact that are not as they were unpacked; empty when all is well."""
        try:
            with open(self.index_path(identity), "rb") as stream:
                wanted = {str(item[0]): item for item in json.load(stream)}
        except (FileNotFoundError, ValueError):
            return [""]
        found = {str(item[0]): item for item in index(self.artifact_path(identity))}
        return sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))

    # ------------------------------------------------------------------------------------------------- pruning

    def sweep(self) -> None:
        """Remove what a crash left half done. Raises AgentError."""
        for folder in (self.paths.artifacts, self.paths.generations):
            for name in _names(folder):
                if name.endswith(PARTIAL):
                    durable.remove_tree(os.path.join(folder, name))
        for folder in (self.paths.state, self.paths.blobs, self.paths.artifacts):
            for name in _names(folder):
                if name.startswith(durable.TEMPORARY):
                    durable.remove(os.path.join(folder, name))
        durable.remove_tree(self.paths.scratch)

    def prune(self, kept: Iterable[wire.Manifest]) -> int:
        """Remove everything that no manifest of `kept` refers to; return how many entries went. Raises AgentError."""
        kept = tuple(kept)
        digests = {file.digest for manifest in kept for file in manifest.files}
        identities = {artifact.identity for manifest in kept for artifact in manifest.artifacts}
        gone = 0
        for name in _names(self.paths.blobs):
            if name not in digests:
                # Crash here: some unreferenced blobs are gone, the others go with the next prune.
                durable.crash_point("prune-blob")
                gone += durable.remove(os.path.join(self.paths.blobs, name))
        for name in _names(self.paths.artifacts):
            if name.removesuffix(".json") in identities:
                continue
            path = os.path.join(self.paths.artifacts, name)
            if name.endswith(".json"):
                durable.remove(path)
                continue
            # Crash here: the artifact is whole or carries the name of something half done, never half gone.
            durable.crash_point("prune-artifact")
            durable.rename(path, path + PARTIAL)
            gone += durable.remove_tree(path + PARTIAL)
        return gone


def mismatch(subject: str, wanted: str, found: str) -> AgentError:
    """Return the error for content that is not what was promised; it names both digests."""
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="digest-mismatch",
        what=f"The content of {subject} is not what was promised.",
        where=f"expected SHA-256 {wanted}, found {found}",
        do="observability apply    (if it happens again: observability lock --verify)",
        state="nothing was changed",
    )


def file_digest(stream: BinaryIO) -> str:
    """Return the SHA-256 of what is left of a stream."""
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def index(folder: str) -> Index:
    """Return what is in a folder, sorted, by one look at each name: the contents are not read."""
    found: Index = []
    pending = [""]
    while pending:
        base = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, base)))
        except FileNotFoundError:
            return []
        for entry in entries:
            path = os.path.join(base, entry.name)
            status = entry.stat(follow_symlinks=False)
            mode = stat.S_IMODE(status.st_mode)
            if entry.is_symlink():
                found.append([path, "link", os.readlink(entry.path), 0, 0])
            elif stat.S_ISDIR(status.st_mode):
                found.append([path, "directory", 0, mode, 0])
                pending.append(path)
            elif stat.S_ISREG(status.st_mode):
                found.append([path, "file", status.st_size, mode, status.st_mtime_ns])
            else:
                found.append([path, "special", 0, mode, 0])
    return sorted(found, key=lambda item: str(item[0]))


def sync_tree(folder: str) -> None:
    """Make a freshly written folder survive a power cut: every file and every folder in it. Raises AgentError."""
    with durable.explained(folder):
        for base, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(base, name)
                if not os.path.islink(path):
                    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
            durable.sync_directory(base)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
