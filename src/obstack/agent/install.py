"""The agent keeps itself: the zipapp that is running, by its digest, for the boot recovery and the journal bridge."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import time
import zipfile
from collections.abc import Sequence

from obstack.agent import durable, own_code
from obstack.agent.machine import Machine

LINK = "agent.pyz"
COMING = ".new-"
"""How the names of what is being unpacked for a run that begins start."""
STALE_S = 3600


def own_archive() -> str | None:
    """Return the zipapp that this process runs from, or None when it runs from a source tree.

    A controller may run it unpacked, where Python keeps compiled code; then it lies inside the folder.
    """
    path = os.path.abspath(sys.argv[0])
    if os.path.isdir(path):
        path = os.path.join(path, LINK)
    return path if os.path.isfile(path) and zipfile.is_zipfile(path) else None


def install(machine: Machine) -> None:
    """Keep the running agent as `agent/<sha256>.pyz` and let `agent.pyz` lead to it. Idempotent. Raises AgentError.

    Agents before the last one are removed, unless somebody runs from one. A controller elsewhere keeps the agent
    unpacked in the folder named by its digest.
    """
    archive = own_archive()
    if archive is None:
        return
    with open(archive, "rb") as stream:
        content = stream.read()
    digest = hashlib.sha256(content).hexdigest()
    name = f"{digest}.pyz"
    folder = machine.paths.agents
    link = os.path.join(folder, LINK)
    if os.path.islink(link) and os.readlink(link) == name and os.path.isfile(link):
        return
    durable.make_directory(folder, 0o755)
    durable.write_file(os.path.join(folder, name), content, 0o755)
    # Crash here: the new agent is there and the old one is linked; either can recover the machine.
    durable.crash_point("install-agent")
    durable.replace_link(link, name)
    _remove_unused(folder, (name, digest, LINK))


def _remove_unused(folder: str, kept: Sequence[str]) -> None:
    """Remove agents that nobody runs from. One that is used, and all while one is being brought, wait for the next."""
    turn = own_code.lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if turn is None:
        return
    try:
        for other in sorted(set(os.listdir(folder)) - set(kept)):
            path = os.path.join(folder, other)
            unused = None if _coming(path) else own_code.lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if unused is not None:
                (durable.remove_tree if os.path.isdir(path) else durable.remove)(path)
                os.close(unused)
    finally:
        os.close(turn)


def _coming(path: str) -> bool:
    """Tell whether another run may be unpacking its agent there just now."""
    return os.path.basename(path).startswith(COMING) and time.time() - os.stat(path).st_mtime < STALE_S
