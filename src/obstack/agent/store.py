"""The content-addressed store: file contents by digest, and unpacked artifacts by identity.

A digest is a SHA-256, or for what is secret an HMAC-SHA256 with a key: a guess cannot be compared with the name then.

Nothing in it is ever changed in place. An entry appears whole by one rename, is verified on the way in and when it is
used, and goes only when no kept generation refers to it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from typing import BinaryIO

from obstack.agent import durable, index, wire
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.paths import Paths

PARTIAL = ".partial"
CHUNK = 1 << 20


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

    def key(self, manifest: wire.Manifest) -> bytes | None:
        """Return the key of the digests of a manifest's secret files: empty when it has none, None when it is lost."""
        if not manifest.key:
            return b""
        try:
            with open(self.blob_path(manifest.key), "rb") as stream:
                key = stream.read()
        except FileNotFoundError:
            return None
        return key if content_digest(key) == manifest.key else None

    def has_blob(self, digest: str, key: bytes = b"") -> bool:
        """Tell whether the content is here and undamaged. Damaged content counts as absent and is replaced by `put`."""
        try:
            with open(self.blob_path(digest), "rb") as stream:
                return file_digest(stream, key) == digest
        except FileNotFoundError:
            return False

    def put_blob(self, digest: str, content: bytes, key: bytes = b"") -> None:
        """Keep `content`. Raises AgentError when it is not what the digest promises, or cannot be written."""
        found = content_digest(content, key)
        if found != digest:
            raise mismatch(f"blob {digest}", digest, found)
        # Crash here: the blob is absent or whole; a file that was being written is replaced by the next attempt.
        durable.crash_point("blob")
        durable.write_file(self.blob_path(digest), content, 0o600)

    def read_blob(self, digest: str, key: bytes | None = b"") -> bytes:
        """Return the content with this digest. Raises AgentError `blob-missing` when it is absent or damaged.

        A content whose `key` is lost (None) cannot be told from a damaged one.
        """
        try:
            with open(self.blob_path(digest), "rb") as stream:
                content = stream.read()
            if key is not None and content_digest(content, key) == digest:
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
        """Unpack an artifact from its archives (digest to path). Raises AgentError; then it is absent."""
        from obstack.agent import unpack  # only needed here: a run that changes nothing does not pay for it

        target = self.artifact_path(entry.identity)
        partial = target + PARTIAL
        durable.remove_tree(partial)
        durable.make_directory(partial, 0o755)
        with durable.explained(partial):
            unpack.unpack_artifact(entry, archives, partial)
        index.sync_tree(partial)
        index.write_index(self.index_path(entry.identity), partial)
        # Crash here: a `.partial` folder, which recovery sweeps, and an index that the next attempt writes again.
        durable.crash_point("artifact")
        self._discard(target)
        durable.rename(partial, target)

    def artifact_changes(self, identity: str) -> list[str]:
        """Return one sentence for each path of the artifact that is not as it was unpacked; empty when all is well."""
        return index.differences(self.index_path(identity), self.artifact_path(identity))

    def _discard(self, path: str) -> int:
        """Remove an artifact: first its name goes, then its content, so that it is never seen half gone."""
        gone = path + ".old" + PARTIAL
        if os.path.isdir(path):
            # Crash here: the artifact is whole, or it has the name of something half done, which recovery sweeps.
            durable.crash_point("discard-artifact")
            durable.rename(path, gone)
        return durable.remove_tree(gone)

    # ------------------------------------------------------------------------------------------------- pruning

    def sweep(self) -> None:
        """Remove what a crash left half done. Raises AgentError."""
        for folder in (self.paths.artifacts, self.paths.generations, self.paths.snapshots):
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
        digests |= {name for manifest in kept for name in (manifest.identity, manifest.key)}
        identities = {artifact.identity for manifest in kept for artifact in manifest.artifacts}
        gone = 0
        for name in _names(self.paths.blobs):
            if name not in digests:
                # Crash here: some unreferenced blobs are gone, the others go with the next prune.
                durable.crash_point("prune-blob")
                gone += durable.remove(os.path.join(self.paths.blobs, name))
        for name in _names(self.paths.artifacts):
            path = os.path.join(self.paths.artifacts, name)
            if name.removesuffix(".json") not in identities:
                gone += durable.remove(path) if name.endswith(".json") else self._discard(path)
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


def content_digest(content: bytes, key: bytes = b"") -> str:
    """Return the SHA-256 of a content; with a key, its HMAC-SHA256."""
    return hmac.digest(key, content, "sha256").hex() if key else hashlib.sha256(content).hexdigest()


def file_digest(stream: BinaryIO, key: bytes = b"") -> str:
    """Return the SHA-256 of what is left of a stream; with a key, its HMAC-SHA256."""
    digest = hmac.new(key, digestmod="sha256") if key else hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
