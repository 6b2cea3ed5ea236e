"""The audit log of this machine: one line for each change of it, which only grows, and each line seals those before it.

A line is the canonical JSON of one entry and holds the SHA-256 of the line before. It is on disk before the record of
its run says how the run ended, so no run ends without its entry: one that died is ended, and entered, by recovery. The
same entry goes to the journal as a second witness, and its hash to the controller, which remembers it.

Nothing here removes an entry: only a purge takes the whole log with everything else. An apply that changes nothing
enters nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obstack.agent import durable, record, swaps, wire
from obstack.agent.caller import caller
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.machine import Machine
from obstack.agent.paths import Paths
from obstack.agent.record import Transaction, Writer

BEGINNING = "0" * 64
"""What the first entry names as the hash of the line before it."""

IDENTIFIER = "observability-audit"
LINE_LIMIT = 65_536
"""No entry is as long; what is, somebody else wrote."""

JOURNAL_S = 1.0
"""So long the journal may be deaf; it is a witness, and nothing waits for it."""

ADDED = ("purge", "code", "dropped")
"""What an entry takes over of the last words of its run's record."""


@dataclass(frozen=True)
class Tail:
    """Where the log ends: the bytes up to the last whole line, and the number and hash of that."""

    size: int
    sequence: int
    hash: str
    line: bytes


def digest(line: bytes) -> str:
    """Given a line without its end, return the hash that the next one names."""
    return hashlib.sha256(line).hexdigest()


def head(paths: Paths) -> wire.AuditHead | None:
    """Return the last entry's number and hash; None when there is no entry, or the log cannot be read."""
    try:
        descriptor = os.open(paths.audit, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        tail = _tail(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return wire.AuditHead(tail.sequence, tail.hash) if tail.sequence else None


def begin(machine: Machine, **data: Any) -> Writer:
    """Begin the record of a run whose end will be entered. Raises AgentError: what cannot be entered is not begun."""
    os.close(_opened(machine))
    who = caller(machine.request)
    agent = _own_digest()
    return record.begin(
        machine.paths.transactions,
        lambda transaction, step, words: _enter(machine, transaction, step, words),
        who=machine.request.who if machine.request else "",
        caller=who,
        agent=agent,
        **data,
    )


def reopen(machine: Machine, transaction: Transaction, *, boot: bool) -> Writer:
    """Open the record of a run that died, to end it; its entry tells that recovery did. Raises AgentError."""
    recovered = {**caller(machine.request), **({"boot": True} if boot else {})}
    return record.reopen(
        transaction, lambda ending, step, words: _enter(machine, ending, step, words, recovered=recovered)
    )


def release(machine: Machine) -> None:
    """Let the log be removed with all else: the file system no longer holds it to grow only. Raises AgentError."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(machine.paths.audit, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            durable.keep_growing(descriptor, False)
        finally:
            os.close(descriptor)


def _enter(
    machine: Machine,
    transaction: Transaction,
    step: str,
    words: Mapping[str, Any],
    recovered: Mapping[str, Any] | None = None,
) -> None:
    """Enter how a run ends. Raises AgentError; then the record must not say that it has ended.

    One that was entered and died before its record could say so is not entered again.
    """
    swaps.refuse(machine)
    begun = transaction.last("begin") or {}
    outcome = _outcome(step, words, recovered is not None)
    descriptor = _opened(machine)
    try:
        tail = _tail(descriptor)
        if not _is_entered(tail, transaction.name, outcome):
            _append(
                descriptor,
                machine,
                tail,
                {
                    "time": round(time.time(), 3),
                    "verb": begun.get("verb", "unknown"),
                    "outcome": outcome,
                    "before": begun.get("previous"),
                    "target": begun.get("target"),
                    "after": words["generation"] if "generation" in words else machine.current(),
                    "transaction": transaction.name,
                    "agent": begun.get("agent", ""),
                    "who": begun.get("caller", {}),
                    **({"recovered": dict(recovered)} if recovered is not None else {}),
                    **{name: words[name] for name in ADDED if name in words},
                },
            )
        else:
            os.fdatasync(descriptor)  # whoever wrote it may have died before the disk had it
            _tell_journal(machine, descriptor, tail.line)
    finally:
        os.close(descriptor)


def _outcome(step: str, words: Mapping[str, Any], recovered: bool) -> str:
    """Return how a run ended: what was refused before the switch is told from what broke off there."""
    return "refused" if step == "abandoned" and not recovered and words.get("code") != "interrupted" else step


def _is_entered(tail: Tail, transaction: str, outcome: str) -> bool:
    entry = _decoded(tail.line)
    alike = {outcome, "refused"} if outcome == "abandoned" else {outcome}
    return entry.get("transaction") == transaction and entry.get("outcome") in alike


def _append(descriptor: int, machine: Machine, tail: Tail, entry: dict[str, Any]) -> None:
    path = machine.paths.audit
    if os.fstat(descriptor).st_size > tail.size:
        # Crash here: the torn line is still there, or the log may do more than grow; the next entry sees to both.
        durable.crash_point("audit-cut")
        durable.keep_growing(descriptor, False)
        durable.cut(descriptor, tail.size, path)
    line = wire.canonical({"sequence": tail.sequence + 1, "previous": tail.hash, **entry})
    # Crash here: the run's end is neither entered nor recorded; recovery ends it and enters that.
    durable.crash_point("audit")
    durable.append(descriptor, line + b"\n", path)
    if machine.root == "":
        # A private root belongs to a person, who may remove it by hand.
        durable.keep_growing(descriptor, True)
    # Crash here: the end is entered and not recorded; recovery comes to the same end and enters it no second time.
    durable.crash_point("audit-entered")
    _tell_journal(machine, descriptor, line)


def _opened(machine: Machine) -> int:
    """Return the log open for appending, made when absent. Raises AgentError `audit-log-unusable`."""
    path = machine.paths.audit
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fresh = not os.path.lexists(path)
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != os.geteuid():
            raise _unusable(path, "it is no plain file of its own that belongs to this user")
        if stat.S_IMODE(status.st_mode) != 0o600:
            durable.restrict(descriptor, 0o600, path)
        if fresh:
            with durable.explained(path):
                durable.sync_directory(os.path.dirname(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _unusable(path: str, why: str) -> AgentError:
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="audit-log-unusable",
        what="The audit log cannot be written, and nothing is changed that is not entered there.",
        where=f"{path}: {why}",
        do=f"ls -l {path}; lsattr {path}    find out who did that, move it away, and run: observability audit verify",
        state="nothing was changed by this run",
    )


def _tail(descriptor: int) -> Tail:
    """Return where the log ends. A torn line is no part of it."""
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, LINE_LIMIT * 2, max(0, size - LINE_LIMIT * 2))
    end = content.rfind(b"\n")
    if end < 0:
        return Tail(0, 0, BEGINNING, b"")
    start = content.rfind(b"\n", 0, end) + 1
    line = content[start:end]
    number = _decoded(line).get("sequence")
    if not isinstance(number, int):
        number = _count(descriptor)  # somebody else wrote that line, and `audit verify` tells; the count goes on
    return Tail(size - len(content) + end + 1, number, digest(line), line)


def _count(descriptor: int) -> int:
    lines, position = 0, 0
    while chunk := os.pread(descriptor, 1 << 20, position):
        lines += chunk.count(b"\n")
        position += len(chunk)
    return lines


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        entry = wire.load(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _own_digest() -> str:
    from obstack.agent import install  # a run that changes nothing does not pay for it

    archive = install.own_archive()
    if archive is None:
        return ""
    with open(archive, "rb") as stream:
        return digest(stream.read())


def identity(descriptor: int) -> str:
    """Return what names this log: the hash of its first line; empty when it has none."""
    line, end, _ = os.pread(descriptor, LINE_LIMIT, 0).partition(b"\n")
    return digest(line) if end else ""


def _tell_journal(machine: Machine, descriptor: int, line: bytes) -> None:
    """Send an entry to the journal by its native protocol. A journal that is away or deaf is only one witness less."""
    entry = _decoded(line)
    fields = {
        "MESSAGE": f"audit {entry.get('sequence')}: {entry.get('verb')} {entry.get('outcome')}",
        "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "OBSERVABILITY_AUDIT_LOG": identity(descriptor),
        "OBSERVABILITY_AUDIT_SEQUENCE": str(entry.get("sequence")),
        "OBSERVABILITY_AUDIT_HASH": digest(line),
        "OBSERVABILITY_AUDIT_END": "purged" if entry.get("purge") else "",
        "OBSERVABILITY_AUDIT_ENTRY": line.decode("utf-8", "replace"),
    }
    message = "".join(f"{name}={value}\n" for name, value in fields.items())
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as journal,
    ):
        journal.settimeout(JOURNAL_S)
        journal.sendto(message.encode(), f"{machine.root}/run/systemd/journal/socket")
