"""The transaction record: what a run was about to do, on disk before it is done.

Each run that may change the machine has a folder `<seq>-<utc time>` with `record.jsonl`. A line is the canonical JSON
of one entry with a checksum, appended and synced before the step it announces. Sequence numbers order the runs, never
clocks. A line torn by a power cut is ignored: the step it announced was not begun.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from obstack.agent import durable, wire
from obstack.agent.faults import ROLLBACK_FAILED, AgentError

FOLDER = re.compile(r"(\d{6,})-\d{8}T\d{6}Z")
RESERVE_BYTES = 262_144
TERMINAL = ("committed", "rolled-back", "abandoned", "pruned", "rollback-failed")
SWITCHED = ("switching", "acting", "gated", "rolling-back")
"""Entries that are only written once the machine itself may have been changed."""


@dataclass(frozen=True)
class Transaction:
    """One run as its record tells it. `entries` are those that could be read, in order.

    `damaged` says that a line in the middle could not be read, which no crash can cause.
    """

    sequence: int
    folder: str
    entries: tuple[dict[str, Any], ...] = ()
    damaged: bool = False

    @property
    def name(self) -> str:
        """Return the folder's name."""
        return os.path.basename(self.folder)

    @property
    def aside(self) -> str:
        """Where the run keeps what a hand had changed and it put right."""
        return os.path.join(self.folder, "aside")

    def last(self, *steps: str) -> dict[str, Any] | None:
        """Return the last entry whose step is one of `steps`."""
        return next((entry for entry in reversed(self.entries) if entry["step"] in steps), None)

    @property
    def outcome(self) -> str | None:
        """Return how the run ended, or None when it has not."""
        entry = self.last(*TERMINAL)
        return entry["step"] if entry else None

    @property
    def switched(self) -> bool:
        """Return whether the machine outside the staging folders may have been changed."""
        return self.last(*SWITCHED) is not None


Ending = Callable[[Transaction, str, Mapping[str, Any]], None]
"""Given the run, its last step and what is said of it, see to what must be on disk before the record says so."""


def nothing_more(transaction: Transaction, step: str, data: Mapping[str, Any]) -> None:
    """See to nothing."""
    del transaction, step, data


@dataclass
class Writer:
    """Appends to the record of the run in progress. `entries` are what was written; `ending` is called before the last.

    When `ending` raises, the run has not ended: recovery ends it.
    """

    transaction: Transaction
    descriptor: int
    ending: Ending = nothing_more
    entries: list[dict[str, Any]] = field(default_factory=list)

    def append(self, step: str, **data: Any) -> None:
        """Write one entry and wait until the disk has it. Raises AgentError; then the step must not be taken."""
        entry = {"step": step, "time": round(time.time(), 3), **data}
        if step in (*TERMINAL, "rolling-back"):
            durable.remove(self.reserve)
        if step in TERMINAL:
            self.ending(self.view(), step, data)
        # Crash here: the step was not announced, so it was not begun; recovery acts on the entry before.
        durable.crash_point(f"record-before-{step}")
        durable.append(self.descriptor, encode_line(entry), self.path)
        # Crash here: the step is announced and not begun; recovery undoes it, which is safe for a step never taken.
        durable.crash_point(f"record-after-{step}")
        self.entries.append(entry)

    @property
    def path(self) -> str:
        """The record's file."""
        return os.path.join(self.transaction.folder, "record.jsonl")

    @property
    def reserve(self) -> str:
        """Space set aside at the beginning and given back for the way back, which must not fail on a full disk."""
        return os.path.join(self.transaction.folder, "reserve")

    def view(self) -> Transaction:
        """Return the run as it stands."""
        return Transaction(self.transaction.sequence, self.transaction.folder, tuple(self.entries))

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


def encode_line(entry: dict[str, Any]) -> bytes:
    """Given an entry, return its line with checksum."""
    body = wire.canonical(entry)
    return wire.canonical({"entry": entry, "sum": _checksum(body)}) + b"\n"


def _checksum(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _decode_line(raw: bytes) -> dict[str, Any] | None:
    try:
        data = wire.load(raw)
        entry = data["entry"]
        if _checksum(wire.canonical(entry)) == data["sum"] and isinstance(entry["step"], str):
            return dict(entry)
    except (ValueError, KeyError, TypeError):
        return None
    return None


def replay(content: bytes) -> tuple[tuple[dict[str, Any], ...], bool]:
    """Given a record's bytes, return the readable entries and whether one before the last of them is unreadable.

    A torn tail is the mark of a crash and is ignored; damage in the middle is not, and is told.
    """
    lines = content.split(b"\n")
    entries = [_decode_line(raw) for raw in lines if raw]
    readable = tuple(entry for entry in entries if entry is not None)
    while entries and entries[-1] is None:
        entries.pop()
    return readable, None in entries


def begin(transactions: str, ending: Ending = nothing_more, /, **data: Any) -> Writer:
    """Open the record of a new run in folder `transactions`, with its first entry `begin`. Raises AgentError."""
    numbers = [sequence for sequence, _ in _folders(transactions)]
    sequence = max(numbers, default=0) + 1
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    folder = os.path.join(transactions, f"{sequence:06d}-{stamp}")
    # Crash here: an empty folder at most, which recovery takes for a run that did nothing.
    durable.crash_point("transaction-folder")
    durable.make_directory(folder, 0o700)
    path = os.path.join(folder, "record.jsonl")
    with durable.explained(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        durable.sync_directory(folder)
    writer = Writer(Transaction(sequence, folder), descriptor, ending)
    try:
        durable.reserve(writer.reserve, RESERVE_BYTES)
        writer.append("begin", **data)
    except AgentError:
        writer.close()
        durable.remove_tree(folder)
        raise
    return writer


def reopen(transaction: Transaction, ending: Ending = nothing_more) -> Writer:
    """Open the record of an unfinished run to finish it. Raises AgentError.

    A torn last line is cut off first, so that what recovery appends can be read.
    """
    path = os.path.join(transaction.folder, "record.jsonl")
    with durable.explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with open(path, "rb") as stream:
            content = stream.read()
        if content and not content.endswith(b"\n"):
            os.ftruncate(descriptor, content.rfind(b"\n") + 1)
            os.fsync(descriptor)
    return Writer(transaction, descriptor, ending, list(transaction.entries))


def read(sequence: int, folder: str) -> Transaction:
    """Return the run recorded in `folder`. A folder without a record is a run that did nothing."""
    try:
        with open(os.path.join(folder, "record.jsonl"), "rb") as stream:
            entries, damaged = replay(stream.read())
    except FileNotFoundError:
        return Transaction(sequence, folder)
    return Transaction(sequence, folder, entries, damaged)


def latest(transactions: str) -> Transaction | None:
    """Return the newest run, or None when there was none."""
    folders = _folders(transactions)
    return read(*folders[-1]) if folders else None


def history(transactions: str) -> Iterator[Transaction]:
    """Yield all runs, the newest first."""
    for sequence, folder in reversed(_folders(transactions)):
        yield read(sequence, folder)


def _folders(transactions: str) -> list[tuple[int, str]]:
    try:
        names = os.listdir(transactions)
    except FileNotFoundError:
        return []
    found = [(match, name) for name in names if (match := FOLDER.fullmatch(name))]
    return sorted((int(match[1]), os.path.join(transactions, name)) for match, name in found)


def parties(transaction: Transaction) -> tuple[str | None, str]:
    """Return (previous, target) of a run that may have switched.

    Raises AgentError `record-damaged` when no readable entry names them: then only a person can tell.
    """
    entry = transaction.last("switching", "begin")
    if entry is None or "target" not in entry:
        raise AgentError(
            exit_code=ROLLBACK_FAILED,
            code="record-damaged",
            what="The record of an unfinished run cannot be read, so it is unknown what to go back to.",
            where=os.path.join(transaction.folder, "record.jsonl"),
            do=f"observability generations list    then remove {transaction.folder} and run: observability apply",
            state="nothing was changed by this run",
        )
    return entry.get("previous"), entry["target"]
