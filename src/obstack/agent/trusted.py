"""Paths that lead through folders of less trusted users: services own their data, and may be broken into.

A name in such a folder can be exchanged at any instant for a link to somewhere else, and root would follow it. So a
path is walked step by step, each folder held open, and a link counts only where root, or the user who runs this, made
it: the owner of the machine may have put data on a larger disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from obstack.agent.faults import CHANGE_FAILED, AgentError

STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LINKS = 32
"""So many links are followed for one path, as by the kernel itself."""


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """Hold directory `path` for the length of a `with` block and give its descriptor, for `dir_fd` and /proc/self/fd.

    Raises AgentError `path-unsafe` for a link that somebody else made, and OSError.
    """
    handle, _ = _walk(path)
    try:
        yield handle
    finally:
        os.close(handle)


def resolved(path: str) -> str:
    """Return the path of directory `path` without links; what is absent at its end stays as it is.

    Raises AgentError `path-unsafe`, also when a step cannot be taken.
    """
    there, rest = path, list[str]()
    while not os.path.lexists(there):
        there, name = os.path.split(there)
        rest.insert(0, name)
    try:
        handle, found = _walk(there)
    except OSError as error:
        raise _unsafe(f"The way to a directory cannot be followed: {error.strerror}.", path) from error
    os.close(handle)
    return os.path.join(found, *rest)


def content(path: str, limit: int) -> bytes:
    """Return at most `limit` bytes of a file that belongs to somebody else. Raises OSError for anything but a file.

    A link is not followed, and a pipe not waited for: whoever owns the folder could put one there.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", path)
        return stream.read(limit)


def _walk(path: str) -> tuple[int, str]:
    """Return the descriptor of a directory, and its path without links."""
    found: list[str] = []
    names = os.path.abspath(path).split("/")
    held = [os.open("/", STEP)]
    links = 0
    try:
        while names:
            name = names.pop(0)
            if name in ("", "."):
                continue
            if name == "..":
                if found:
                    found.pop()
                    os.close(held.pop())
                continue
            status = os.stat(name, dir_fd=held[-1], follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                held.append(os.open(name, STEP, dir_fd=held[-1]))
                found.append(name)
                continue
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            _demand_trust("/" + "/".join((*found, name)), held[-1], status)
            target = os.readlink(name, dir_fd=held[-1])
            if target.startswith("/"):
                found.clear()
                while len(held) > 1:
                    os.close(held.pop())
            names = target.split("/") + names
        return held.pop(), "/" + "/".join(found)
    finally:
        for handle in held:
            os.close(handle)


def _demand_trust(link: str, folder: int, status: os.stat_result) -> None:
    """Refuse a link unless both it and the folder in which it lies belong to root or to this user.

    The folder counts as well: its owner can exchange the link, and nothing says that root ever wanted it there.
    """
    ours = (0, os.geteuid())
    if status.st_uid in ours and os.fstat(folder).st_uid in ours:
        return
    raise _unsafe(f"A link that user {status.st_uid} made stands where a directory of ours is to be.", link)


def _unsafe(what: str, path: str) -> AgentError:
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="path-unsafe",
        what=what,
        where=path,
        do=f"ls -ld {path}    and find out who made it so; put it right, then run: observability apply",
    )
