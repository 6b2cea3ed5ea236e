"""The index of an unpacked artifact: what each path was right after unpacking, so that drift costs one stat a path."""

from __future__ import annotations

import json
import os
import stat

from obstack.agent import durable

Index = dict[str, list[object]]
"""By path inside the folder: [kind, size or link text, mode, mtime_ns]."""


def observe(folder: str) -> Index:
    """Return what is in a folder by one look at each name: the contents are not read. An absent folder is empty.

    Sizes and times of directories and modes of links are left out, because file systems do not agree on them.
    """
    found: Index = {}
    pending = [""]
    while pending:
        base = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, base)))
        except FileNotFoundError:
            continue
        for entry in entries:
            path = os.path.join(base, entry.name)
            status = entry.stat(follow_symlinks=False)
            mode = stat.S_IMODE(status.st_mode)
            if entry.is_symlink():
                found[path] = ["link", os.readlink(entry.path), 0, 0]
            elif stat.S_ISDIR(status.st_mode):
                found[path] = ["directory", 0, mode, 0]
                pending.append(path)
            else:
                found[path] = ["file", status.st_size, mode, status.st_mtime_ns]
    return found


def write_index(path: str, folder: str) -> None:
    """Keep what is in `folder` now in file `path`. Raises AgentError."""
    durable.write_file(path, json.dumps(observe(folder), separators=(",", ":")).encode(), 0o600)


def differences(path: str, folder: str) -> list[str]:
    """Compare a folder with its index in file `path`; return one sentence for each path that differs.

    A missing or damaged index is a difference.
    """
    try:
        with open(path, "rb") as stream:
            wanted: Index = json.load(stream)
            if not isinstance(wanted, dict):
                raise ValueError("it is no index")
    except (OSError, ValueError, RecursionError) as error:
        return [f"the index cannot be used: {error}"]
    found = observe(folder)
    return [
        f"{name} {'is gone' if name not in found else 'was added' if name not in wanted else 'is not as unpacked'}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def sync_tree(folder: str) -> None:
    """Make a freshly written folder survive a power cut: every file and every folder in it. Raises AgentError."""
    with durable.explained(folder):
        for base, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(base, name)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
            durable.sync_directory(base)
