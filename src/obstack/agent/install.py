"""The agent keeps itself: the zipapp that is running, by its digest, for the boot recovery and the journal bridge."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import zipfile

from obstack.agent import durable
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

    Agents before the last one are removed: a service that runs from one has it open. A controller elsewhere keeps the
    agent unpacked in the folder named by its digest.
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
    for other in sorted(os.listdir(folder)):
        path = os.path.join(folder, other)
        if other not in (name, digest, LINK) and not _coming(path):
            (durable.remove_tree if os.path.isdir(path) else durable.remove)(path)


def _coming(path: str) -> bool:
    """Tell whether another run may be unpacking its agent there just now."""
    return os.path.basename(path).startswith(COMING) and time.time() - os.stat(path).st_mtime < STALE_S
