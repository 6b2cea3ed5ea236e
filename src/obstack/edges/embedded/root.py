"""The private root of `observability up`: a folder that holds everything, made, locked and removed here.

A marker file says that the folder is ours; without it nothing in a folder is ever written or removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from obstack.errors import ChangeFailed, LockHeld, UsageError

MARKER: Final = "observability-root"
MARKER_TEXT: Final = "This folder was made by `observability up` and is removed by `observability down --purge`.\n"

SAFE_PATH: Final = re.compile(r"/[A-Za-z0-9._/+@~-]*")
"""What may stand in a path that gets into the products' configuration files. Blanks and quotes may not."""


@dataclass(frozen=True)
class PrivateRoot:
    """The private root at `path`, which is absolute."""

    path: Path

    @property
    def exists(self) -> bool:
        """Whether the folder is there and is ours."""
        return (self.path / MARKER).is_file()

    def prepare(self) -> None:
        """Make the folder when it is missing, closed to other users.

        Raises UsageError when the path cannot be used, when it belongs to somebody else, or when a folder that is not
        ours is in the way.
        """
        if not SAFE_PATH.fullmatch(str(self.path)):
            raise self._refusal("The path has characters that configuration files cannot take.", "root-path-unsafe")
        try:
            if self.path.is_dir() and not self.exists and any(self.path.iterdir()):
                raise self._refusal("The folder holds something that is not ours.", "root-foreign")
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_uid != os.geteuid():
                raise self._refusal("The folder belongs to another user.", "root-foreign")
            if not self.exists:
                (self.path / MARKER).write_text(MARKER_TEXT, encoding="utf-8")
        except OSError as error:
            raise self._refusal(f"The folder cannot be used: {error.strerror}.", "root-unusable") from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock: one `up` or `down` at a time. The kernel frees it when the process ends.

        Raises LockHeld, naming the process that has it.
        """
        while True:
            descriptor = os.open(self.path / MARKER, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A purge may have removed the file between the two calls; then this lock guards nothing.
                if os.fstat(descriptor).st_nlink:
                    yield
                    return
            except BlockingIOError:
                raise self._lock_held(os.fstat(descriptor).st_ino) from None
            finally:
                os.close(descriptor)
            self.prepare()

    def demand_ours(self) -> None:
        """Raise UsageError when the folder was not made by us."""
        if not self.exists:
            raise self._refusal("The folder was not made by `observability up`.", "root-foreign")

    def purge(self) -> None:
        """Remove the folder with everything in it, the marker last, so that an interrupted purge can be repeated.

        Raises UsageError when the folder is not ours, ChangeFailed when something cannot be removed.
        """
        self.demand_ours()
        try:
            for entry in self.path.iterdir():
                if entry.name == MARKER:
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    _open_folders(entry)
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            (self.path / MARKER).unlink()
            self.path.rmdir()
        except OSError as error:
            raise ChangeFailed(
                code="purge-failed",
                what=f"The private root could not be removed: {error.strerror}.",
                where=str(error.filename or self.path),
                state="the stack is stopped; a part of its folder is left",
                do="correct what is named above, then run again: observability down --purge",
            ) from error

    def _refusal(self, what: str, code: str) -> UsageError:
        return UsageError(
            code=code,
            what=what,
            where=str(self.path),
            state="nothing was touched",
            do="name another folder: observability up --root ~/observability-root",
        )

    def _lock_held(self, inode: int) -> LockHeld:
        return LockHeld(
            code="lock-held",
            what="Another run works on this private root.",
            where=f"{self.path}, process {_flock_holder(inode)}",
            state="nothing was touched",
            do="wait until it has ended, then run the same command again",
        )


def _flock_holder(inode: int) -> str:
    try:
        with open("/proc/locks", encoding="ascii") as file:
            lines = file.read().splitlines()
    except OSError:
        return "unknown"
    for line in lines:
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
            return fields[4]
    return "unknown"


def _open_folders(folder: Path) -> None:
    """Make every folder writable for its owner: the store's are not, and what is in them could not be removed."""
    for path, _, _ in os.walk(folder):
        mode = os.lstat(path).st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(path, stat.S_IMODE(mode) | stat.S_IRWXU)
