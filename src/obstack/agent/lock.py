"""One writer: a lock of the kernel on a file in the state folder.

The kernel drops it when its holder dies, so a stale lock cannot exist. The file's content names the holder for whoever
waits; it decides nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator

from obstack.agent import coding, durable
from obstack.agent.faults import LOCK_HELD, AgentError

POLL_S = 0.1


@contextlib.contextmanager
def held(path: str, wait_s: float = 0.0) -> Iterator[Callable[[str, str], None]]:
    """Hold the lock for the length of a `with` block; wait up to `wait_s` for another holder to end.

    Yields a function to announce (who, verb) with, once the run is about to change something: a run that changes
    nothing writes nothing. Raises AgentError `lock-held`, naming the holder, when it is still held then.
    """
    descriptor = _acquire(path, wait_s)

    def announce(who: str, verb: str) -> None:
        holder = {"who": who, "verb": verb, "pid": os.getpid(), "since": round(time.time(), 3), "boot": _boot()}
        content = json.dumps(holder).encode()
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))

    try:
        yield announce
    finally:
        os.close(descriptor)


def _acquire(path: str, wait_s: float) -> int:
    """Return the open and locked file. One that a purge took away meanwhile locks nobody out, so the new one counts."""
    deadline = time.monotonic() + wait_s
    while True:
        durable.make_directory(os.path.dirname(path))
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= deadline:
                raise _refusal(path, wait_s) from None
            time.sleep(POLL_S)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _refusal(path: str, wait_s: float) -> AgentError:
    holder = describe(path)
    waited = f" after waiting {wait_s:g} s" if wait_s else ""
    return AgentError(
        exit_code=LOCK_HELD,
        code="lock-held",
        what=f"Another run holds the lock{waited}: {holder}.",
        where=path,
        do="run the command again when it has ended, or with --wait 300 to wait for that",
        state="nothing was changed by this run",
    )


def describe(path: str) -> str:
    """Return who holds the lock, in words. What the file says counts only if the kernel names the same process."""
    pid = holder_pid(path)
    try:
        with open(path, "rb") as stream:
            holder = coding.load(stream.read())
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(holder["since"]))
        named = f"{holder['verb']} by {holder['who'] or 'unknown'}, process {holder['pid']}, since {since}"
        if holder["boot"] == _boot() and pid in (None, holder["pid"]):
            return named
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not written yet: the kernel's answer is all there is
    return f"process {pid}, which is still comparing" if pid else "a process that has just ended"


def holder_pid(path: str, kind: str = "FLOCK") -> int | None:
    """Return the process that the kernel says holds a lock of this kind on a file, or None when it does not say."""
    try:
        status = os.stat(path)
        wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        with open("/proc/locks", encoding="ascii") as stream:
            for fields in map(str.split, stream):
                if fields[1] == kind and fields[5] == wanted:
                    return int(fields[4])
    except (OSError, ValueError, IndexError):
        return None
    return None


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""
