"""The only writer. Whatever it reports as done survives a power cut; whatever it was doing when it died is as before.

A file appears by temporary name, fsync, rename and fsync of its directory, so a reader sees the old or the new content
and never a part. Every other module of the agent changes the machine through these functions alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import grp
import json
import os
import pwd
import shutil
import signal
import stat
import struct
import sys
import time
from collections.abc import Iterator

from obstack.agent import trusted
from obstack.agent.faults import CHANGE_FAILED, AgentError

TEMPORARY = ".new-"
"""Prefix of files that are being written. One left behind by a crash is nobody's and is swept."""

_LONG = struct.calcsize("l")
GET_ATTRIBUTES = 0x8000_6601 | _LONG << 16
SET_ATTRIBUTES = 0x4000_6602 | _LONG << 16
APPEND_ONLY = 0x20
"""FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_APPEND_FL of linux/fs.h."""

HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"""Holds a thing whatever becomes of its name, without opening it: a link itself, and no pipe is waited for."""

CRASH_VARIABLES = ("OBSERVABILITY_CRASH_AT", "OBSERVABILITY_PAUSE_AT", "OBSERVABILITY_CRASH_TRACE")
"""What `crash_point` obeys; the controller hands these on to the agent."""


def crash_point(name: str) -> None:
    """Mark an instant at which the crash tests kill or stop the agent.

    Given the environment `OBSERVABILITY_CRASH_AT=<name>`, die by SIGKILL; given `OBSERVABILITY_PAUSE_AT=<name>`, print
    a `paused` event and sleep, so that a test can cut the power; `<name>:<n>` means the n-th time it is passed. Given
    `OBSERVABILITY_CRASH_TRACE=<file>`, add the name to that file. Otherwise do nothing.
    """
    trace = os.environ.get("OBSERVABILITY_CRASH_TRACE")
    if trace:
        with open(trace, "a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
    if _due("OBSERVABILITY_CRASH_AT", name):
        os.kill(os.getpid(), signal.SIGKILL)
    if _due("OBSERVABILITY_PAUSE_AT", name):
        event = {"type": "event", "step": "switch", "state": "paused", "message": name, "data": {"point": name}}
        sys.stdout.buffer.write(json.dumps(event).encode() + b"\n")
        sys.stdout.buffer.flush()
        time.sleep(86400)


def _due(variable: str, name: str) -> bool:
    wanted, _, left = os.environ.get(variable, "").partition(":")
    if wanted != name:
        return False
    if left and int(left) > 1:
        os.environ[variable] = f"{name}:{int(left) - 1}"
        return False
    return True


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn the operating system's refusals at `path` into errors that a person can act on.

    Raises AgentError `disk-full` (no space, no inodes, quota), or `write-failed` for anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="disk-full",
                what=f"The file system of {os.path.dirname(path) or '/'} is full.",
                where=path,
                do=f"df -h {os.path.dirname(path) or '/'}    then free space and run: observability apply",
                detail=str(error),
            ) from error
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="write-failed",
            what=f"{os.path.basename(path)} could not be written: {error.strerror or error}.",
            where=error.filename or path,
            do=f"ls -ld {os.path.dirname(path) or '/'}    then correct its permissions and run: observability apply",
            detail=str(error),
        ) from error


@functools.lru_cache(maxsize=64)
def _user(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


@functools.lru_cache(maxsize=64)
def _group(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def identifiers(owner: str | None, group: str | None, path: str) -> tuple[int, int] | None:
    """Given names, return their user and group identifiers, or None when this process cannot give files away.

    An ordinary user owns everything it writes, so names mean nothing to it. Raises AgentError `user-missing`.
    """
    if os.geteuid() != 0 or (owner is None and group is None):
        return None
    try:
        return (_user(owner) if owner else 0, _group(group) if group else 0)
    except KeyError as error:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="user-missing",
            what=f"The owner {owner}:{group} does not exist.",
            where=path,
            do="observability apply",
            detail=str(error),
        ) from error


def sync_directory(path: str) -> None:
    """Make the names in directory `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(
    path: str, content: bytes, mode: int = 0o644, owner: str | None = None, group: str | None = None
) -> None:
    """Make `path` a regular file with this content, mode and owner, replacing what had the name. Idempotent.

    Raises AgentError when the file system refuses; then `path` is as before.
    """
    ids = identifiers(owner, group, path)
    temporary = os.path.join(os.path.dirname(path), TEMPORARY + os.path.basename(path))
    with explained(path), _temporary(temporary):
        # 0600 from the first byte: a secret is never readable by others, not even for an instant.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            _finish(stream.fileno(), mode, ids)
        _put(temporary, path)


def copy_file(source: str, path: str, mode: int = 0o644, owner: str | None = None, group: str | None = None) -> None:
    """Make `path` a durable copy of the regular file `source`. Raises AgentError; then `path` is as before."""
    ids = identifiers(owner, group, path)
    temporary = os.path.join(os.path.dirname(path), TEMPORARY + os.path.basename(path))
    with explained(path), open(source, "rb") as origin, _temporary(temporary):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as stream:
            shutil.copyfileobj(origin, stream, 1 << 20)
            stream.flush()
            _finish(stream.fileno(), mode, ids)
        _put(temporary, path)


@contextlib.contextmanager
def _temporary(path: str) -> Iterator[None]:
    """Clear a temporary name before use (a crash may have left it) and after a failure."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _finish(descriptor: int, mode: int, ids: tuple[int, int] | None) -> None:
    if ids is not None:
        os.fchown(descriptor, *ids)
    os.fchmod(descriptor, mode)  # after the owner: changing that clears the set-id bits
    os.fsync(descriptor)


def _put(temporary: str, path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        raise IsADirectoryError(errno.EISDIR, "a directory has this name", path)
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


def set_attributes(path: str, mode: int, owner: str | None = None, group: str | None = None) -> None:
    """Give an existing file or directory its mode and owner, and never what a link in its place leads to.

    Raises AgentError.
    """
    ids = identifiers(owner, group, path)
    with explained(path):
        handle = os.open(path, HANDLE)
        try:
            _give(handle, mode, ids, path)
        finally:
            os.close(handle)


def own_directory(path: str, mode: int, owner: str | None = None, group: str | None = None) -> None:
    """Give an existing directory its mode and owner. Only links that root or this user made are followed to it.

    Raises AgentError `path-unsafe` for any other link on the way, and what `set_attributes` does.
    """
    ids = identifiers(owner, group, path)
    with explained(path), trusted.opened(path) as handle:
        _give(handle, mode, ids, path)


def _give(handle: int, mode: int, ids: tuple[int, int] | None, path: str) -> None:
    """What is held cannot be exchanged for a link between looking and changing, as a name can."""
    if stat.S_ISLNK(os.fstat(handle).st_mode):
        raise OSError(errno.ELOOP, "a link stands where a file or directory was expected", path)
    itself = f"/proc/self/fd/{handle}"
    if ids is not None:
        os.chown(itself, *ids)
    os.chmod(itself, mode)


def make_directory(path: str, mode: int = 0o755, owner: str | None = None, group: str | None = None) -> bool:
    """Make directory `path` with its parents, durably; return whether it was made. An existing one is left alone.

    Parents that are missing are made with mode 0755; only links that root or this user made are followed to them.
    Raises AgentError.
    """
    if os.path.isdir(path):
        return False
    parent, name = os.path.split(path)
    if parent != path and not os.path.isdir(parent):
        make_directory(parent)
    ids = identifiers(owner, group, path)
    with explained(path), trusted.opened(parent or ".") as place:
        try:
            os.mkdir(name, 0o700, dir_fd=place)
        except FileExistsError:
            if os.path.isdir(path):
                return False  # another run was faster
            raise
        made = os.open(name, HANDLE, dir_fd=place)
        try:
            _give(made, mode, ids, path)
        finally:
            os.close(made)
        sync_directory(f"/proc/self/fd/{place}")
    return True


def replace_link(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target` by one rename: there is no instant without it. Raises AgentError."""
    temporary = os.path.join(os.path.dirname(path), TEMPORARY + os.path.basename(path))
    with explained(path), _temporary(temporary):
        os.symlink(target, temporary)
        _put(temporary, path)


def rename(source: str, target: str) -> None:
    """Rename within one file system, durably on both ends. Raises AgentError."""
    with explained(target):
        os.rename(source, target)
        sync_directory(os.path.dirname(target))
        if os.path.dirname(source) != os.path.dirname(target):
            sync_directory(os.path.dirname(source))


def remove(path: str) -> bool:
    """Remove a file or a link (never what it leads to); return whether it was there. Raises AgentError."""
    with explained(path):
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        sync_directory(os.path.dirname(path))
    return True


def remove_directory(path: str) -> bool:
    """Remove a directory if it is empty; return whether it went. Any other is left alone. Raises AgentError."""
    with explained(path):
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY, errno.ENOTDIR):
                return False
            raise
        sync_directory(os.path.dirname(path))
    return True


def remove_tree(path: str) -> bool:
    """Remove a directory with all in it, following no link; return whether it was there. Raises AgentError."""
    with explained(path):
        if not os.path.lexists(path):
            return False
        if os.geteuid() != 0:
            _open_folders(path)
        try:
            shutil.rmtree(path)
        except RecursionError as error:
            raise OSError(errno.ELOOP, "its folders are nested too deeply", path) from error
        sync_directory(os.path.dirname(path))
    return True


def _open_folders(path: str) -> None:
    """Let an ordinary user into the folders it owns. Root needs no leave, and must not follow names it was handed."""
    for folder, names, _ in os.walk(path):
        for name in (folder, *(os.path.join(folder, n) for n in names)):
            if not os.path.islink(name):
                os.chmod(name, stat.S_IMODE(os.lstat(name).st_mode) | 0o700)


def append(descriptor: int, line: bytes, path: str) -> None:
    """Append one line to an open file and wait until the disk has it. Raises AgentError; then the file is as before."""
    size = os.fstat(descriptor).st_size
    try:
        with explained(path):
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fdatasync(descriptor)
    except AgentError:
        with contextlib.suppress(PermissionError):  # of a file that may only grow; its reader passes over a torn line
            os.ftruncate(descriptor, size)  # a part of a line would spoil the next one
        raise


def cut(descriptor: int, size: int, path: str) -> None:
    """Shorten an open file, durably: what is behind was never whole. Raises AgentError."""
    with explained(path):
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)


def restrict(descriptor: int, mode: int, path: str) -> None:
    """Give an open file its mode, if need be although it may only grow. Raises AgentError."""
    with explained(path):
        keep_growing(descriptor, False)
        os.fchmod(descriptor, mode)


def keep_growing(descriptor: int, only: bool) -> bool | None:
    """Have the file system hold an open file to only grow, or no longer; return what holds now.

    None is a file system that cannot, or a user who may not: nothing is lost but this one hindrance.
    """
    word = bytearray(_LONG)
    try:
        fcntl.ioctl(descriptor, GET_ATTRIBUTES, word)
        flags = int.from_bytes(word[:4], sys.byteorder)
        wanted = flags | APPEND_ONLY if only else flags & ~APPEND_ONLY
        if wanted != flags:
            fcntl.ioctl(descriptor, SET_ATTRIBUTES, wanted.to_bytes(4, sys.byteorder) + bytes(word[4:]))
    except OSError:
        return None
    return only


def only_grows(descriptor: int) -> bool | None:
    """Tell whether the file system holds an open file to only grow; None when it cannot say."""
    word = bytearray(_LONG)
    try:
        fcntl.ioctl(descriptor, GET_ATTRIBUTES, word)
    except OSError:
        return None
    return bool(int.from_bytes(word[:4], sys.byteorder) & APPEND_ONLY)


def reserve(path: str, size: int) -> None:
    """Set disk space aside under a name; removing the name gives it back. Raises AgentError `disk-full`."""
    with explained(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
