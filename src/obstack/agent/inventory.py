"""What is in a folder, by content: every path with what it is, so that two folders can be compared from afar.

Unlike the index of drift, which costs one look at each name, this reads every byte.
"""

from __future__ import annotations

import os
import stat

from obstack.agent import wire
from obstack.agent.machine import Machine
from obstack.agent.store import file_digest

Inventory = dict[str, str]
"""By path inside the folder: `file MODE SHA-256`, `link TEXT`, `directory MODE`, or `other`.

What is not of the user who looks says so at its end: ` of UID`.
"""


def take_inventory(folder: str) -> Inventory:
    """Given a folder, return what is in it, without following a link. What is not there or cannot be read is told so.

    An absent folder is empty.
    """
    found: Inventory = {}
    pending = [""]
    while pending:
        base = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, base)))
        except OSError:
            continue
        for entry in entries:
            path = os.path.join(base, entry.name)
            try:
                found[path] = _describe(entry)
            except OSError as error:
                found[path] = f"unreadable: {error.strerror}"
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
    return found


def verify(machine: Machine, manifest: wire.Manifest) -> list[dict[str, object]]:
    """Given the manifest in force, return for each artifact its name, version, archives and what is on the disk.

    `linked` says whether the generation leads to it.
    """
    from obstack.agent import stage

    tree = machine.paths.generation(manifest.identity)
    return [
        {
            **wire.encode(artifact),
            "identity": artifact.identity,
            "linked": stage.artifact_linked(tree, artifact),
            "inventory": take_inventory(machine.store.artifact_path(artifact.identity)),
        }
        for artifact in manifest.artifacts
    ]


def _describe(entry: os.DirEntry[str]) -> str:
    status = entry.stat(follow_symlinks=False)
    return _content(entry, status) + ("" if status.st_uid == os.geteuid() else f" of {status.st_uid}")


def _content(entry: os.DirEntry[str], status: os.stat_result) -> str:
    if entry.is_symlink():
        return f"link {os.readlink(entry.path)}"
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    if stat.S_ISDIR(status.st_mode):
        return f"directory {mode}"
    if not stat.S_ISREG(status.st_mode):
        return "other"
    # Whoever swaps the file for a link or a pipe meanwhile neither leads the reader away nor holds it up.
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:
        return f"file {mode} {file_digest(stream)}"
