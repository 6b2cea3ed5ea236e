"""The private folder: 0700, its files 0600, never readable by others, never half written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.agent.lock import holder_pid
from obstack.errors import ChangeFailed, LockHeld, UsageError
from obstack.model.scalars import NAME_PATTERN

LONGEST_FILE: Final = 1 << 20

DRAWING_LOCK: Final = ".kept/drawing-lock"
DRAWING_S: Final = 60.0
POLL_S: Final = 0.02


class PrivateFolder:
    """Given a folder, which need not exist, read and write files in it that are for its owner alone.

    Nothing is made before something must be kept. What others may read or replace is refused.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.absolute()
        self._shown = folder

    def place(self, name: str) -> str:
        """Given a name, return the path of the file, for messages."""
        return str(self._shown / name)

    def exists(self) -> bool:
        """Return whether there is the folder."""
        return self.path.is_dir()

    def names(self) -> tuple[str, ...]:
        """Return the names of the plain files that a secret can have, in order."""
        try:
            entries = sorted(os.scandir(self.path), key=lambda entry: entry.name)
        except FileNotFoundError:
            return ()
        return tuple(
            entry.name
            for entry in entries
            if re.fullmatch(NAME_PATTERN, entry.name) and entry.is_file(follow_symlinks=False)
        )

    def read(self, name: str) -> bytes | None:
        """Given a name, return the content, or None without a file. Raises UsageError for what is not private."""
        path = self.path / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise UsageError(
                code="secret-unreadable",
                what=f"The secret {name} belongs to another user.",
                where=self.place(name),
                state="nothing was touched",
                do=f"ls -ld {self._shown} {self.place(name)}    and run this as its owner, or with sudo",
            ) from error
        except OSError as error:
            raise self.unusable(name, f"cannot be read: {error.strerror}") from error
        with open(descriptor, "rb") as stream:
            self._trust(name, os.fstat(descriptor))
            return stream.read(LONGEST_FILE)

    def changed(self, name: str) -> float | None:
        """Given a name, return when its content was last written; None when there is no file."""
        try:
            return (self.path / name).lstat().st_mtime
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Given a name and content, keep it durably, replacing what had the name. Raises ChangeFailed."""
        self._prepare(name)
        with refusals():
            durable.write_file(str(self.path / name), content, 0o600)

    def write_new(self, name: str, content: bytes) -> None:
        """Keep content under a name that is free; what another run kept faster stays. Raises ChangeFailed."""
        self._prepare(name)
        path = str(self.path / name)
        temporary = f"{path}.{secrets.token_hex(8)}"
        with refusals(), contextlib.ExitStack() as stack:
            durable.write_file(temporary, content, 0o600)
            stack.callback(durable.remove, temporary)
            with durable.explained(path), contextlib.suppress(FileExistsError):
                os.link(temporary, path)  # unlike a rename, a link does not replace
            durable.sync_directory(os.path.dirname(path))

    def remove(self, name: str) -> bool:
        """Given a name, remove the file; return whether there was any. Raises ChangeFailed."""
        with refusals():
            return durable.remove(str(self.path / name))

    def protect(self) -> list[str]:
        """Take the rights of others off the folder and the files in it; return the paths that had such rights.

        Raises ChangeFailed for a path that belongs to somebody else.
        """
        changed = []
        for path in self.exposed():
            with refusals(), durable.explained(str(path)):
                path.chmod(stat.S_IMODE(path.lstat().st_mode) & 0o700)
            changed.append(str(path))
        return changed

    def exposed(self) -> tuple[Path, ...]:
        """Return the folder and the files in it that others have rights to."""
        found = (self.path, *sorted(self.path.rglob("*"))) if self.exists() else ()
        modes = ((path, path.lstat().st_mode) for path in found)
        return tuple(path for path, mode in modes if mode & 0o077 and not stat.S_ISLNK(mode))

    @contextlib.contextmanager
    def turn(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of this name while the context lasts; yield whether it is held: False without `wait` only.

        The kernel lets go of it when the process ends, however it ends. Raises ChangeFailed.
        """
        self._prepare(name)
        with refusals(), durable.explained(self.place(name)):
            descriptor = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def drawing(self, limit_s: float = DRAWING_S) -> Iterator[None]:
        """Hold the right to draw what is made once and kept, while the context lasts: two would draw it twice.

        It is held for moments, so that others wait for it. Raises LockHeld, naming the holder, when one holds it for
        longer than `limit_s`, and ChangeFailed.
        """
        deadline = time.monotonic() + limit_s
        while True:
            with self.turn(DRAWING_LOCK, wait=False) as held:
                if held:
                    yield
                    return
            if time.monotonic() >= deadline:
                raise self._being_drawn(limit_s)
            time.sleep(POLL_S)

    def _being_drawn(self, limit_s: float) -> LockHeld:
        pid = holder_pid(str(self.path / DRAWING_LOCK))
        holder = f"process {pid}" if pid else "another process"
        return LockHeld(
            code="drawing-lock-held",
            what=f"For {limit_s:g} s {holder} has been drawing certificates or hashes of this configuration.",
            where=self.place(DRAWING_LOCK),
            state="nothing was drawn, and no machine was touched",
            do=f"ps -fp {pid}    and run the command again when it has ended" if pid else "run the command again",
        )

    def unusable(self, name: str, why: str) -> UsageError:
        """Return the error for a file that holds no secret."""
        return UsageError(
            code="secret-unusable",
            what=f"The secret {name} {why}.",
            where=self.place(name),
            state="nothing was touched",
            do=f"observability secrets set {name}",
        )

    def _trust(self, name: str, status: os.stat_result) -> None:
        """Refuse what others can read or replace: the folder and the file belong to their owner alone."""
        if not stat.S_ISREG(status.st_mode):
            raise self.unusable(name, "is not a regular file")
        for path, mode, wanted in (
            (self._shown, self.path.stat().st_mode, "700"),
            (self._shown / name, status.st_mode, "600"),
        ):
            if mode & 0o077:
                raise exposed(str(path), stat.S_IMODE(mode), wanted)

    def _prepare(self, name: str) -> None:
        with refusals():
            durable.make_directory(str(self.path), 0o700)
            if "/" in name:
                durable.make_directory(os.path.dirname(str(self.path / name)), 0o700)


def exposed(path: str, mode: int, wanted: str) -> UsageError:
    """Return the error for a path that others have rights to, and the mode that it must have."""
    return UsageError(
        code="secret-exposed",
        what=f"Others may read {path}: its mode is {mode:04o}.",
        where=path,
        state="nothing was touched",
        do=f"chmod {wanted} {path}    and change the secret if somebody may have read it",
    )


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn the writer's errors into this program's."""
    try:
        yield
    except AgentError as error:
        raise ChangeFailed(
            code=error.code,
            what=error.what,
            where=error.where,
            do=error.do,
            state="no secret was changed",
            detail=error.detail,
        ) from error
