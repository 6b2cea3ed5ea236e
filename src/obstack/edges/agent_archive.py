"""The agent as one file: a zipapp whose bytes depend on the source alone, so that it is known by its digest.

Times, order and permissions inside the archive are fixed. Nothing but the agent's package is in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
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


@lru_cache(maxsize=1)
def build_agent() -> AgentArchive:
    """Return the agent built from this program's own source. Equal source gives equal bytes."""
    members = {"__main__.py": MAIN, "obstack/__init__.py": _source(obstack.__file__)}
    folder = Path(_file(obstack.agent.__file__)).parent
    for path in sorted(folder.glob("*.py")):
        members[f"obstack/agent/{path.name}"] = path.read_bytes()
    buffer = io.BytesIO()
    buffer.write(SHEBANG)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name, EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, members[name])
    content = buffer.getvalue()
    return AgentArchive(content, hashlib.sha256(content).hexdigest())


def agent_file(cache: Path) -> Path:
    """Return the agent as a file of folder `cache`, named by its digest; it is written when it is not there."""
    agent = build_agent()
    path = cache / f"agent-{agent.digest}.pyz"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != agent.digest:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=cache)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(agent.content)
                os.fchmod(stream.fileno(), 0o755)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    return path


def agent_folder(cache: Path) -> Path:
    """Return the agent unpacked into a folder of `cache` named by its digest, with the archive inside it.

    Python can run the folder like the archive, and keeps compiled code there: a run that changes nothing is mostly
    start-up, and compiling would be half of it.
    """
    agent = build_agent()
    folder = cache / f"agent-{agent.digest}"
    if not folder.is_dir():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=cache))
        try:
            with zipfile.ZipFile(io.BytesIO(agent.content)) as archive:
                archive.extractall(temporary)
            (temporary / "agent.pyz").write_bytes(agent.content)
            # One that was made meanwhile is as good; a rename onto a folder that is not empty is refused.
            with contextlib.suppress(OSError):
                os.rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _source(path: str | None) -> bytes:
    return Path(_file(path)).read_bytes()


def _file(path: str | None) -> str:
    if path is None:
        raise ValueError("a package of this program has no source file")
    return path
