"""Follows the log files of a folder: new lines, over rotation and truncation, from positions that survive a restart."""

from __future__ import annotations

import glob
import json
import os
import time
from dataclasses import dataclass
from typing import BinaryIO

from obstack.agent import coding, durable

LINE_LIMIT = 48 * 1024
BATCH_LIMIT = 1024 * 1024
PARTIAL_AFTER_S = 2.0


@dataclass(frozen=True)
class Line:
    """One line of the program `name`, without its end; a longer one than LINE_LIMIT comes in pieces."""

    name: str
    text: bytes


@dataclass(frozen=True)
class Position:
    """Up to where a file was carried; the inode tells a rotated file from its successor."""

    inode: int
    offset: int


class Reader:
    """Given the folder and the file of positions, read what is new.

    `commit` after the lines were taken, or `rewind` to read them again.
    """

    def __init__(self, folder: str, positions: str) -> None:
        self.folder = folder
        self.path = positions
        self.committed = _load(positions)
        self.reached = dict(self.committed)
        self.partial_since: dict[str, float] = {}

    def read(self) -> list[Line]:
        """Return new lines of all files, bounded in number, each file's in their order."""
        lines: list[Line] = []
        size = 0
        for path in sorted(glob.glob(f"{glob.escape(self.folder)}/*.log")):
            name = os.path.basename(path).removesuffix(".log")
            for file_path in _pieces(path, self.reached.get(name)):
                read, whole = self._read_file(name, file_path, file_path == path, BATCH_LIMIT - size)
                lines += read
                size += sum(len(line.text) for line in read)
                if not whole:
                    # The next piece must wait: one position a log means that the older piece is behind us.
                    break
        return lines

    def commit(self) -> None:
        """Remember durably that everything read so far was taken."""
        if self.reached != self.committed:
            content = {name: [position.inode, position.offset] for name, position in sorted(self.reached.items())}
            durable.write_file(self.path, json.dumps(content).encode(), 0o600)
            self.committed = dict(self.reached)

    def rewind(self) -> None:
        """Forget what was read since the last commit, to read it again."""
        self.reached = dict(self.committed)

    def _read_file(self, name: str, path: str, newest: bool, limit: int) -> tuple[list[Line], bool]:
        if limit <= 0:
            return [], False
        try:
            file = open(path, "rb")  # noqa: SIM115 - closed by the next statement
        except FileNotFoundError:  # rotated away between looking and opening; the next round finds it
            return [], False
        with file:
            status = os.fstat(file.fileno())
            known = self.reached.get(name)
            same = known is not None and known.inode == status.st_ino and known.offset <= status.st_size
            offset = known.offset if known is not None and same else 0
            lines, consumed = self._split(name, file, offset, limit, newest)
        self.reached[name] = Position(status.st_ino, offset + consumed)
        return lines, offset + consumed >= status.st_size

    def _split(self, name: str, file: BinaryIO, offset: int, limit: int, newest: bool) -> tuple[list[Line], int]:
        file.seek(offset)
        content = file.read(limit + LINE_LIMIT)
        complete = content.rfind(b"\n") + 1
        rest = len(content) - complete
        if rest == 0:
            self.partial_since.pop(name, None)
        elif not newest or rest >= LINE_LIMIT or self._waited(name):
            # Nobody will finish the last line of a rotated file, of a program that died, or one that never ends.
            complete = len(content)
        texts = content[:complete].split(b"\n")
        if texts[-1] == b"":
            texts.pop()
        lines = [
            Line(name, text[start : start + LINE_LIMIT])
            for text in texts
            for start in range(0, max(len(text), 1), LINE_LIMIT)
        ]
        return lines, complete

    def _waited(self, name: str) -> bool:
        since = self.partial_since.setdefault(name, time.monotonic())
        if time.monotonic() - since < PARTIAL_AFTER_S:
            return False
        del self.partial_since[name]
        return True


def _pieces(path: str, known: Position | None) -> list[str]:
    """Return the files to read for one log, oldest first: what was rotated away since, then the present one."""
    backups = sorted(glob.glob(f"{glob.escape(path)}.*"), key=_age, reverse=True)
    backups = [backup for backup in backups if backup.rpartition(".")[2].isdigit()]
    if known is None:
        return [*backups, path]
    inodes = [_inode(backup) for backup in backups]
    if known.inode in inodes:
        return [*backups[inodes.index(known.inode) :], path]
    # The file that was followed is still the present one, or has been deleted: then all that is left is new.
    return [path] if _inode(path) == known.inode else [*backups, path]


def _age(path: str) -> int:
    number = path.rpartition(".")[2]
    return int(number) if number.isdigit() else 0


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def _load(path: str) -> dict[str, Position]:
    try:
        with open(path, "rb") as file:
            return {name: Position(*map(int, place)) for name, place in coding.load(file.read()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        # Only a hand can have spoiled it; reading everything again keeps the promise of at least once.
        return {}
