"""The machine's own lock on its accounts: packages that are being installed make users too, and useradd waits for none.

It is taken by name for a moment only, to see that it is free; useradd then takes it itself.
"""

from __future__ import annotations

import fcntl
import os
import time

from obstack.agent import lock
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.machine import Machine
from obstack.agent.telling import sanitize

LOCK = "/etc/.pwd.lock"
LIMIT_S = 60.0
POLL_S = 0.2


def await_free(machine: Machine, limit_s: float = LIMIT_S, path: str = LOCK) -> None:
    """Return when nobody changes the machine's accounts; who does is told while that is waited for.

    Raises AgentError `accounts-locked`, naming the holder, when that takes longer than `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    told = False
    while not _free(path):
        holder = holder_of(path)
        if time.monotonic() >= deadline:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="accounts-locked",
                what=f"For {limit_s:g} s {holder} has kept the machine's accounts locked.",
                where=path,
                do="wait for it to end (a package that is being installed?), then run: observability apply",
            )
        if not told:
            machine.event("switch", "progress", f"waiting for {holder}, which changes the machine's accounts")
            told = True
        time.sleep(POLL_S)


def holder_of(path: str) -> str:
    """Return in words which process holds the machine's own lock on a file."""
    pid = lock.holder_pid(path, "POSIX")
    if pid is None:
        return "another process"
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return f"process {pid} ({sanitize(stream.read().strip())})"
    except OSError:
        return f"process {pid}"


def _free(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True  # nobody has ever locked it; useradd makes it
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
