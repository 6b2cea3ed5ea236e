"""The audit log as it lies on the disk, and what the journal has of it, for whoever judges them.

Nothing is judged here: the lines go out as they are, and the controller, which remembers heads, judges them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

from obstack.agent import durable, wire
from obstack.agent.audit import IDENTIFIER, LINE_LIMIT
from obstack.agent.faults import CHECK_FAILED, AgentError
from obstack.agent.machine import Machine

BATCH = 256
"""So many lines go out in one event."""

FIELDS = {
    "log": "OBSERVABILITY_AUDIT_LOG",
    "sequence": "OBSERVABILITY_AUDIT_SEQUENCE",
    "hash": "OBSERVABILITY_AUDIT_HASH",
    "end": "OBSERVABILITY_AUDIT_END",
    "time": "__REALTIME_TIMESTAMP",
}
JOURNALCTL = (
    "journalctl",
    "--output=json",
    "--no-pager",
    "--quiet",
    f"--output-fields={','.join(FIELDS.values())}",
    "_UID=0",  # the journal itself says who wrote a line: anybody may claim to be the agent
    f"SYSLOG_IDENTIFIER={IDENTIFIER}",
)
JOURNAL_S = 60


def audit(machine: Machine, request: wire.Request) -> wire.Reply:
    """Send the lines of the log as events of step `log`, and with `witness` first what the journal has of it.

    The journal is read first: what is entered meanwhile is then in the log and not in the journal, and never the other
    way round. Raises AgentError `audit-log-unreadable`.
    """
    journal = ""
    if request.params.get("witness"):
        found = _witnesses(machine)
        journal = found if isinstance(found, str) else ""
        for start in range(0, 0 if isinstance(found, str) else len(found), BATCH):
            machine.emit(wire.Event("log", "progress", data={"witnesses": found[start : start + BATCH]}))
    batch: list[str] = []
    for line in _lines(machine.paths.audit):
        batch.append(line)
        if len(batch) == BATCH:
            machine.emit(wire.Event("log", "progress", data={"lines": batch}))
            batch = []
    if batch:
        machine.emit(wire.Event("log", "progress", data={"lines": batch}))
    data = {"place": machine.paths.audit, "journal": journal, **_standing(machine.paths.audit)}
    return wire.Reply("ok", machine.current(), data=data)


def _lines(path: str) -> Iterator[str]:
    """Yield the lines with their ends, as text that shows each byte that is none; none is longer than the limit."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise AgentError(
            exit_code=CHECK_FAILED,
            code="audit-log-unreadable",
            what=f"The audit log cannot be read: {error.strerror}.",
            where=path,
            do=f"ls -l {path}    and find out who put that there",
            state="nothing was changed",
        ) from error
    with open(descriptor, "rb") as stream:
        left = os.fstat(descriptor).st_size  # what is entered from now on is not looked at
        while left > 0 and (line := stream.readline(min(LINE_LIMIT, left))):
            left -= len(line)
            yield line.decode("utf-8", "backslashreplace")


def _standing(path: str) -> dict[str, Any]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {"size": 0, "append_only": None}
    try:
        return {"size": os.fstat(descriptor).st_size, "append_only": durable.only_grows(descriptor)}
    finally:
        os.close(descriptor)


def _witnesses(machine: Machine) -> list[dict[str, str]] | str:
    """Return what the journal has of the log, oldest first, or why it was not asked."""
    if machine.root:
        return "a private root has no journal of its own"
    try:
        done = subprocess.run(JOURNALCTL, capture_output=True, check=False, timeout=JOURNAL_S, env=_environment())
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"journalctl cannot be run: {error}"
    if done.returncode != 0 and not done.stdout:
        words = done.stderr.decode("utf-8", "replace").strip()
        return f"journalctl ended with {done.returncode}: {words[-200:]}" if words else ""
    return [witness for line in done.stdout.splitlines() if (witness := _witness(line)) is not None]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def _witness(line: bytes) -> dict[str, str] | None:
    try:
        fields = wire.load(line)
        found = {name: fields.get(field) or "" for name, field in FIELDS.items()}
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if all(isinstance(value, str) for value in found.values()) else None
