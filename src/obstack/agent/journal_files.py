"""The hosts' journals on the server as files: when they begin and end, how large they are, and the oldest ones away.

systemd-journal-remote begins a new file when one is full and keeps the old ones for good; only its newer versions can
be told how much may be kept. So this program forgets what is too old or too much, the oldest first whoever's it is. A
file that is being written is closed by ending its receiver, which begins a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from obstack.agent import trusted

EVERY_S = 60
SIGNATURE = b"LPKSHHRH"
HEADER_BYTES = 208
ACTIVE = "remote.journal"
LATEST_S = 253402300799.0
"""The end of the year 9999, for headers that say anything at all."""
CLOSED_AFTER = 10
"""A file is closed when its first line is older than this part of the time that lines are kept."""


@dataclass(frozen=True)
class JournalFile:
    """One file: its path, the space that it takes, and the times (unix) of its first and last line; 0 for none."""

    path: str
    size: int
    first: float
    last: float

    @property
    def active(self) -> bool:
        """Whether a receiver writes it."""
        return os.path.basename(self.path) == ACTIVE


@dataclass(frozen=True)
class Limits:
    """What may be kept: of which folders, with the socket of the receiver of each, and of all that lies below `all`."""

    sockets: Mapping[str, str]
    all: str
    maximum_bytes: int
    maximum_age_s: int


def run(argv: Sequence[str]) -> int:
    """Given the path of the limits, keep to them until SIGTERM."""
    (path,) = argv
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    while True:
        trim(read_limits(path), time.time())
        time.sleep(EVERY_S)


def read_limits(path: str) -> Limits:
    """Given the file that rendering wrote, return the limits."""
    with open(path, encoding="utf-8") as stream:
        data = json.load(stream)
    sockets = {str(place["folder"]): str(place["socket"]) for place in data["journals"].values()}
    return Limits(sockets, str(data["all"]), int(data["maximum_bytes"]), int(data["maximum_age_s"]))


def trim(limits: Limits, now: float) -> list[str]:
    """Remove what is too old, then the oldest while it is too much; return the paths removed.

    Hosts that are no longer in the configuration count as well: their lines are kept like all others.
    """
    folders = [entry.path for entry in os.scandir(limits.all) if entry.is_dir(follow_symlinks=False)]
    share = limits.maximum_bytes / max(1, len(folders)) / 2
    for folder in folders:
        for file in journal_files(folder):
            old = bool(file.first) and now - file.first > limits.maximum_age_s / CLOSED_AFTER
            if file.active and (old or file.size > share):
                _close(file, limits.sockets.get(folder))
    closed = [file for folder in folders for file in journal_files(folder) if not file.active]
    total = sum(file.size for folder in folders for file in journal_files(folder))
    removed = []
    for file in sorted(closed, key=lambda file: file.last):
        if total > limits.maximum_bytes or now - file.last > limits.maximum_age_s:
            with contextlib.suppress(FileNotFoundError):
                os.remove(file.path)
            total -= file.size
            removed.append(file.path)
    return removed


def journal_files(folder: str) -> Iterator[JournalFile]:
    """Yield the journal files of a folder. One whose header cannot be read counts by when it was written last."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if not entry.name.endswith((".journal", ".journal~")):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
            times = _times(entry.path)
        except OSError:  # it went, or is no file: who owns the folder speaks with hosts, and may have been broken into
            continue
        first, last = times or (status.st_mtime, status.st_mtime)
        yield JournalFile(entry.path, status.st_blocks * 512, first, last)


def last_line(folder: str) -> float | None:
    """Return when the last line in a folder of journals was written (unix time), or None when there is none."""
    return max((file.last for file in journal_files(folder) if file.last), default=None)


def _times(path: str) -> tuple[float, float] | None:
    """Return the times of the first and the last entry, as the file's header tells them."""
    header = trusted.content(path, HEADER_BYTES)
    if len(header) < HEADER_BYTES or header[:8] != SIGNATURE:
        return None
    first, last = struct.unpack_from("<QQ", header, 184)
    return min(first / 1e6, LATEST_S), min(last / 1e6, LATEST_S)


def _close(file: JournalFile, receiver: str | None) -> None:
    """Give the file another name, which its receiver does not mind, and end the receiver, so that it begins anew."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(file.path, f"{file.path.removesuffix('.journal')}@{int(time.time() * 1e6):016x}.journal")
    if receiver is None:
        return
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(receiver)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        os.kill(struct.unpack("3i", credentials)[0], signal.SIGTERM)
    except OSError as error:
        print(f"the receiver at {receiver} could not be told to begin a new file: {error}", file=sys.stderr, flush=True)


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)
