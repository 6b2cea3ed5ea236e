"""What a program of the agent that runs for good does when the agent is replaced: it goes on with the new code.

A run that changes nothing but the agent acts on no unit, so nobody else would. And nothing of the old archive can be
loaded any more once the link leads elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import sys
from typing import NoReturn


def settle() -> None:
    """Go on as the program of the archive that the link leads to, by its own name, and keep that from being removed.

    A program that may wait for long loads much of its code after that, which must be the same code still.
    """
    named, real = os.path.abspath(sys.argv[0]), os.path.realpath(sys.argv[0])
    if named != real and sys.argv[0] in sys.orig_argv:
        os.execv(sys.executable, [real if word == sys.argv[0] else word for word in sys.orig_argv])  # noqa: S606
    lock(real, fcntl.LOCK_SH)


def lock(path: str, kind: int) -> int | None:
    """Lock an agent's archive or folder, as the loader that ssh starts does too: shared by who runs from it.

    Return the descriptor that holds the lock as long as it is open; None when another holds it, or nothing is there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class OwnCode:
    """The archive that this process was started from, by the link that leads to it."""

    def __init__(self) -> None:
        self._link = os.path.abspath(sys.argv[0])
        self._archive = self._target()

    def replaced(self) -> bool:
        """Tell whether the link leads to another archive now. Where there is no link, nothing is ever replaced."""
        target = self._target()
        return target is not None and target != self._archive

    def go_on(self) -> NoReturn:
        """Become the program of the new archive, as the same process with the same arguments.

        The caller has let go of what must not be in two hands. No descriptor but the three standard ones is inherited.
        """
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - no shell is wanted: these are this process's own words

    def _target(self) -> str | None:
        try:
            return os.readlink(self._link)
        except OSError:
            return None
