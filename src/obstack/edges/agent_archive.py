"""The agent as one file: a zipapp whose bytes depend on the source alone, so that it is known by its digest.

Times, order and permissions inside the archive are fixed. Nothing but the agent's package is in it.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import obstack
import obstack.agent

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip archive can hold."""

MAIN: Final = b"import sys\n\nfrom obstack.agent.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"
SHEBANG: Final = b"#!/usr/bin/env -S python3 -I\n"


@dataclass(frozen=True)
class AgentArchive:
    """The agent's bytes and their SHA-256."""

    content: bytes
    digest: str


@dataclass(frozen=True)
class PackedAgent:
    """The agent as it is sent to a machine: the archive, its SHA-256 and that of the source in it."""

    content: bytes
    digest: str
    source_digest: str


@lru_cache(maxsize=1)
def build_agent() -> AgentArchive:
    """Return the agent built from this program's own source. Equal source gives equal bytes."""
    import zipfile  # most runs find the agent unpacked

    buffer = io.BytesIO()
    buffer.write(SHEBANG)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in _members().items():
            member = zipfile.ZipInfo(name, EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    content = buffer.getvalue()
    return AgentArchive(content, hashlib.sha256(content).hexdigest())


def agent_folder(cache: Path) -> Path:
    """Return the agent unpacked into a folder of `cache` named by the digest of its source, with the archive inside it.

    Python can run the folder like the archive, and keeps compiled code there: a run that changes nothing is mostly
    start-up, and compiling would be half of it. Files that are not what they must be are put right first.
    """
    members = _members()
    folder = cache / f"agent-{_source_digest(members)}"
    if not all(_holds(folder / name, content) for name, content in members.items()):
        _unpack({**members, "agent.pyz": build_agent().content}, folder)
    return folder


@lru_cache(maxsize=1)
def packed_agent(cache: Path) -> PackedAgent:
    """Return the agent as it is sent to other machines, kept in `cache`: packing it takes longer than asking it."""
    folder = agent_folder(cache)
    content = (folder / "agent.pyz").read_bytes()
    return PackedAgent(content, hashlib.sha256(content).hexdigest(), folder.name.removeprefix("agent-"))


def _source_digest(members: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of the names, sizes and contents of all files (ssh_loader reckons the same)."""
    digest = hashlib.sha256()
    for name, content in members.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _members() -> dict[str, bytes]:
    """Return the files of the agent by name, in order."""
    members = {"__main__.py": MAIN, "obstack/__init__.py": _source(obstack.__file__)}
    package = Path(_file(obstack.agent.__file__)).parent
    for path in package.glob("*.py"):
        members[f"obstack/agent/{path.name}"] = path.read_bytes()
    return dict(sorted(members.items()))


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Make the folder, whole or not at all; what a damaged one held goes away."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name, content in files.items():
            path = temporary / "new" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        with suppress(FileNotFoundError):
            os.rename(folder, temporary / "old")
        try:
            os.rename(temporary / "new", folder)
        except OSError:
            # A rename onto a folder that is not empty is refused: one that was made meanwhile is as good.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _source(path: str | None) -> bytes:
    return Path(_file(path)).read_bytes()


def _file(path: str | None) -> str:
    if path is None:
        raise ValueError("a package of this program has no source file")
    return path
