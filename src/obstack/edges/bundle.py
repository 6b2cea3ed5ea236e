"""A change of one host as one file, which is carried to it and run there: agent, manifest and all contents.

The file is a Python program that ends in its payload as comment lines, so that a file that was cut off or altered can
still say so. Equal changes make equal files.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from obstack.agent import wire
from obstack.edges.agent_archive import EPOCH, PackedAgent
from obstack.errors import UsageError
from obstack.ports import Contents

START: Final = Path(__file__).with_name("bundle_start.py")
MARK: Final = b"\n# What follows is the payload, a zip archive in Base64.\n"
LINE: Final = 4096
"""Characters of a comment line: few lines, so that Python is through with them at once."""


def pack(manifest: wire.Manifest, contents: Contents, agent: PackedAgent) -> bytes:
    """Given a host's generation with its contents and the agent, return the file. It holds keys: it is for root only.

    Raises UsageError when a content is not here.
    """
    payload = io.BytesIO()
    with zipfile.ZipFile(payload, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "agent.pyz", agent.content)
        _add(archive, "manifest.json", manifest.body)
        for digest in sorted(_wanted(manifest)):
            _add(archive, f"contents/{digest}", _content(digest, contents))
    content = payload.getvalue()
    start = START.read_text("utf-8").replace("@DIGEST@", hashlib.sha256(content).hexdigest())
    return start.encode() + MARK + b"".join(_comments(base64.b64encode(content)))


def write(content: bytes, path: Path) -> None:
    """Put the file in its place, whole or not at all, readable by its owner only. Raises UsageError."""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".bundle-", dir=path.absolute().parent)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(
            code="bundle-not-written",
            what=f"The bundle could not be written: {error.strerror}.",
            where=str(path),
            state="nothing was written",
            do="name another file with -o",
        ) from error


def _wanted(manifest: wire.Manifest) -> set[str]:
    archives = {archive.digest for artifact in manifest.artifacts for archive in artifact.archives}
    return {file.digest for file in manifest.files} | archives | ({manifest.key} if manifest.key else set())


def _content(digest: str, contents: Contents) -> bytes:
    if digest in contents.blobs:
        return contents.blobs[digest]
    content = contents.files[digest].read_bytes() if digest in contents.files else b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise UsageError(
            code="content-missing",
            what="A content that belongs into the bundle is not here, or is damaged.",
            where=str(contents.files.get(digest, digest)),
            state="nothing was written",
            do="observability lock    fetches what is missing",
        )
    return content


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.create_system = 3
    member.external_attr = 0o600 << 16
    archive.writestr(member, content)


def _comments(text: bytes) -> Iterator[bytes]:
    for start in range(0, len(text), LINE):
        yield b"#" + text[start : start + LINE] + b"\n"
