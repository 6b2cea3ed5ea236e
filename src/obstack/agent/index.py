"""The index of an unpacked artifact: what each path was right after unpacking, so that drift costs one stat a path.

The index lies inside the artifact's folder, so that folder and index appear by the same rename. Directories are in
it with the time of their last change, which is how an added or removed file is seen without listing anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from typing import Any, Final

from obstack.agent import wire

INDEX: Final = ".index.json"
CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class IndexEntry:
    """One path of the artifact. `kind` is directory, file or link; `digest` is a file's SHA-256, else empty.

    `target` is where a link leads, else empty. Sizes of directories and the mode and time of links are 0, because
    file systems do not agree on them.
    """

    path: str
    kind: str
    size: int
    mode: int
    mtime_ns: int
    target: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Index:
    """All paths of an artifact, sorted. `top` are the names in the artifact's own folder."""

    top: tuple[str, ...]
    entries: tuple[IndexEntry, ...]
    version: int = 1


def observe(folder: str, path: str, digest: str = "") -> IndexEntry:
    """Given a path inside `folder`, return what it is now; `digest` is passed on. Raises OSError when it is gone."""
    full = os.path.join(folder, path)
    found = os.lstat(full)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        return IndexEntry(path, "link", 0, 0, 0, target=os.readlink(full))
    if stat.S_ISDIR(found.st_mode):
        return IndexEntry(path, "directory", 0, mode, found.st_mtime_ns)
    kind = "file" if stat.S_ISREG(found.st_mode) else "other"
    return IndexEntry(path, kind, found.st_size, mode, found.st_mtime_ns, digest=digest)


def write_index(folder: str, index: Index) -> None:
    """Given an index, write it into its folder and make it durable."""
    descriptor = os.open(os.path.join(folder, INDEX), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(wire.line(index))
        os.fchmod(file.fileno(), 0o644)
        file.flush()
        os.fsync(file.fileno())


def read_index(folder: str) -> Index:
    """Given an unpacked artifact's folder, return its index.

    Raises OSError when there is none, wire.WireError or ValueError when it is damaged.
    """
    with open(os.path.join(folder, INDEX), "rb") as file:
        data: Any = json.load(file)
    return wire.decode(Index, data)


def verify_index(folder: str, index: Index, deep: bool = False) -> list[str]:
    """Given a folder and its index, return one sentence for each difference, none when the artifact is as unpacked.

    Only `deep` reads the files: a change that restored size and time on purpose is found by nothing else.
    """
    try:
        names = set(os.listdir(folder)) - {INDEX}
    except OSError as error:
        return [f"{folder}: {error.strerror}"]
    differences = [f"{name}: is not part of the artifact" for name in sorted(names - set(index.top))]
    for entry in index.entries:
        difference = _compare(folder, entry, deep)
        if difference:
            differences.append(f"{entry.path}: {difference}")
    return differences


def verify_artifact(folder: str, deep: bool = False) -> list[str]:
    """Given an unpacked artifact's folder, compare it with the index inside it; a missing or damaged index counts."""
    try:
        index = read_index(folder)
    except (OSError, ValueError) as error:
        return [f"{INDEX}: cannot be used: {error}"]
    return verify_index(folder, index, deep)


def _compare(folder: str, entry: IndexEntry, deep: bool) -> str:
    try:
        now = observe(folder, entry.path, entry.digest)
    except OSError as error:
        return (error.strerror or "cannot be read").lower()
    if now.kind != entry.kind:
        return f"is a {now.kind}, was a {entry.kind}"
    if now.target != entry.target:
        return f"leads to {now.target}, led to {entry.target}"
    if now.mode != entry.mode:
        return f"has mode {now.mode:04o}, had {entry.mode:04o}"
    if now.size != entry.size:
        return f"has {now.size} bytes, had {entry.size}"
    if now.mtime_ns != entry.mtime_ns:
        return "entries were added or removed" if entry.kind == "directory" else "was written to"
    if deep and entry.kind == "file" and digest_of(os.path.join(folder, entry.path)) != entry.digest:
        return "has other content"
    return ""


def digest_of(path: str) -> str:
    """Given a file's path, return its SHA-256. Raises OSError when it cannot be read."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
