"""Copies of a service's data, taken when a new version would write another format, and the way back to them.

A snapshot is taken while the unit is stopped. Finished time-series blocks never change, so they are hard-linked;
everything else is copied. Going back moves the newer data aside, beside the old place, and never deletes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

from obstack.agent import durable, trusted, wire
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.index import sync_tree
from obstack.agent.paths import Paths
from obstack.agent.store import PARTIAL

BLOCK_MARK = "meta.json"
"""A folder that holds this file and `chunks` is a finished time-series block."""
DEEPEST = 64
"""So many folders inside each other may be copied; services have a handful, and each is held open."""


@dataclass(frozen=True)
class Snapshot:
    """One copy. `format` is what the version wrote that was running; `sequence` is that of the run that took it."""

    path: str
    unit: str
    format: str
    directory: str
    sequence: int
    time: float

    @property
    def data(self) -> str:
        """The copy itself."""
        return os.path.join(self.path, "data")


def take(paths: Paths, unit: wire.UnitEntry, sequence: int) -> Snapshot:
    """Copy the data of a stopped unit and return the verified snapshot. Raises AgentError; then there is none."""
    if unit.state is None:
        raise ValueError(f"{unit.name} keeps no data")
    path = os.path.join(paths.snapshots, f"{sequence:06d}-{unit.name}")
    partial = path + PARTIAL
    durable.remove_tree(partial)
    durable.make_directory(paths.snapshots, 0o700)
    durable.make_directory(partial, 0o700)
    source = trusted.resolved(unit.state.directory)  # it may be a link that the machine's owner made to a larger disk
    _copy_tree(source, os.path.join(partial, "data"))
    _verify(source, os.path.join(partial, "data"))
    about = {"unit": unit.name, "format": unit.state.format, "directory": unit.state.directory}
    body = wire.canonical(about | {"sequence": sequence, "time": round(time.time(), 3)})
    durable.write_file(os.path.join(partial, "snapshot.json"), body, 0o600)
    # Crash here: a `.partial` copy that nothing uses; recovery starts the old version on its own data.
    durable.crash_point("snapshot")
    durable.remove_tree(path)
    durable.rename(partial, path)
    return load(path)


def newest(paths: Paths, unit: str, data_format: str) -> Snapshot | None:
    """Return the newest snapshot of a unit's data in the given format, or None."""
    found = [s for s in everything(paths) if s.unit == unit and s.format == data_format]
    return max(found, key=lambda snapshot: snapshot.sequence, default=None)


def everything(paths: Paths) -> list[Snapshot]:
    """Return all snapshots of this machine, the oldest first."""
    try:
        names = sorted(os.listdir(paths.snapshots))
    except FileNotFoundError:
        return []
    return [load(os.path.join(paths.snapshots, name)) for name in names if not name.endswith(PARTIAL)]


def restore(snapshot: Snapshot, sequence: int) -> str:
    """Put a snapshot in the place of a stopped unit's data; return where the newer data is now. Idempotent.

    Raises AgentError; then the data are as before or the restore can be run again.
    """
    directory = trusted.resolved(snapshot.directory)
    aside, ready, _ = beside(directory, sequence)
    if os.path.isdir(aside) and os.path.isdir(directory):
        return aside
    durable.remove_tree(ready)
    _copy_tree(snapshot.data, ready)
    _verify(snapshot.data, ready)
    if not os.path.isdir(aside):
        # Crash here: the data are untouched; a copy lies beside them, which the next restore makes anew.
        durable.crash_point("restore-aside")
        durable.rename(directory, aside)
    # Crash here: the data are in the aside folder alone; running the restore again ends it.
    durable.crash_point("restore-place")
    durable.rename(ready, directory)
    return aside


def undo_restore(directory: str, sequence: int) -> None:
    """Put the newer data back that a restore of run `sequence` had moved aside. Idempotent. Raises AgentError."""
    directory = trusted.resolved(directory)
    aside, ready, older = beside(directory, sequence)
    durable.remove_tree(ready)
    if not os.path.isdir(aside):
        return
    if os.path.isdir(directory):
        # Crash here: both copies are there under their names; running this again ends it.
        durable.crash_point("undo-restore")
        durable.rename(directory, older)
    durable.rename(aside, directory)


def beside(directory: str, sequence: int) -> tuple[str, str, str]:
    """Return the places beside a data directory that run `sequence` may use.

    They are for the newer data that a restore sets aside, for the copy that it makes ready, and for one that was put
    in place and taken away again.
    """
    place = trusted.resolved(directory)
    newer, restoring, older = (f"{place}.{word}-{sequence:06d}" for word in ("newer", "restoring", "older"))
    return newer, restoring, older


def discard(snapshot: Snapshot) -> None:
    """Remove a snapshot: first its name goes, then its content. Raises AgentError."""
    # Crash here: the copy is whole, or it has the name of something half done, which recovery sweeps.
    durable.crash_point("prune-snapshot")
    durable.rename(snapshot.path, snapshot.path + PARTIAL)
    durable.remove_tree(snapshot.path + PARTIAL)


def load(path: str) -> Snapshot:
    """Return the snapshot in folder `path`. Raises AgentError `snapshot-damaged` when none can be read there."""
    try:
        with open(os.path.join(path, "snapshot.json"), "rb") as stream:
            about = wire.load(stream.read())
        unit, form, directory = (str(about[name]) for name in ("unit", "format", "directory"))
        return Snapshot(path, unit, form, directory, int(about["sequence"]), float(about["time"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="snapshot-damaged",
            what="A kept copy of data cannot be read.",
            where=path,
            do=f"mv {path} {path}.damaged    outside of that folder, then run the command again",
            detail=str(error),
        ) from error


def _copy_tree(source: str, target: str) -> None:
    """Copy a folder with modes, owners and times; blocks that never change are linked where the file system can.

    The source may belong to a service that was broken into and exchanges names while they are looked at. So each thing
    is held open, judged and copied by its descriptor, and no link is ever followed.
    """
    with durable.explained(target):
        os.mkdir(target, 0o700)
        if not os.path.lexists(source):
            return  # somebody took the data away; the copy of nothing is empty
        with _folder(source) as origin, _folder(target) as place:
            _copy_folder(origin, place, block=False, depth=0)
        sync_tree(target)


def _copy_folder(source: int, target: int, *, block: bool, depth: int) -> None:
    if depth > DEEPEST:
        raise OSError(errno.ELOOP, "the data are nested too deeply to be copied")
    names = os.listdir(source)
    block = block or (depth > 0 and BLOCK_MARK in names and "chunks" in names)
    for name in names:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            with _folder(name, source) as origin, _folder(name, target) as place:
                _copy_folder(origin, place, block=block, depth=depth + 1)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode) and not (block and _linked(name, source, target)):
            _copy_file(name, source, target)
        # Sockets and pipes are made anew by the service.
    # At the end: while root writes here, nobody else may, and times stay as they were.
    _copy_attributes(source, target)


def _copy_file(name: str, source: int, target: int) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    origin = os.open(name, flags, dir_fd=source)
    with open(origin, "rb") as content:
        if not stat.S_ISREG(os.fstat(origin).st_mode):
            raise OSError(errno.ESTALE, "it was exchanged while it was copied", name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=target), "wb") as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
            copy.flush()
            _copy_attributes(origin, copy.fileno())


@contextlib.contextmanager
def _folder(name: str, above: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _linked(name: str, source: int, target: int) -> bool:
    try:
        os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError:
        return False  # another file system, or one without hard links: copied instead
    return True


def _copy_attributes(source: int, target: int) -> None:
    status = os.fstat(source)
    if os.geteuid() == 0:
        os.fchown(target, status.st_uid, status.st_gid)
    # A service's data hold no programs: a bit that lends rights has no business there.
    os.fchmod(target, stat.S_IMODE(status.st_mode) & ~(stat.S_ISUID | stat.S_ISGID))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _verify(source: str, target: str) -> None:
    """Compare what is in two folders, by name, kind and size. Raises AgentError `snapshot-incomplete`."""
    missing = _listing(source) ^ _listing(target)
    if missing:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="snapshot-incomplete",
            what=f"The copy of {source} is not complete.",
            where=target,
            do="observability apply",
            detail="\n".join(sorted(name for name, _ in missing)[:20]),
        )


def _listing(folder: str) -> set[tuple[str, str]]:
    """Return (path, size or link text) of all files and links in a folder."""
    found = set()
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(base, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                found.add((os.path.relpath(path, folder), os.readlink(path)))
            elif stat.S_ISREG(status.st_mode):
                found.add((os.path.relpath(path, folder), str(status.st_size)))
    return found
