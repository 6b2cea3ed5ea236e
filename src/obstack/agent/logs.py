"""The lines of the units, read by journalctl from the machine's journal or from the private root's, as events.

Lines are passed on as they are: whoever prints them to a terminal makes control characters inert.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from obstack.agent import wire
from obstack.agent.services import ServiceFailure

POLL_S = 0.2


@dataclass(frozen=True)
class Query:
    """Which lines are wanted: the last `lines` of `units`, not before `since` (unix time), that match `grep`."""

    units: Sequence[str]
    lines: int = 100
    since: float | None = None
    grep: str = ""
    follow: bool = False


@dataclass(frozen=True)
class Journal:
    """How the journal is read: the beginning of the argument list, its environment, `system` or a directory."""

    argv: tuple[str, ...] = ("journalctl",)
    environment: tuple[tuple[str, str], ...] = ()
    place: str = "system"


def journal_of(manifest: wire.Manifest) -> Journal:
    """Return the manifest's own way to its journal, which its log-line gate names."""
    for gate in manifest.gates:
        if gate.kind == "log-line":
            params = gate.params
            environment = tuple(sorted((params.get("environment") or {}).items()))
            return Journal(tuple(params["journalctl"]), environment, str(params["journal"]))
    return Journal()


def read_logs(journal: Journal, query: Query, cancelled: Callable[[], bool]) -> Iterator[wire.Event]:
    """Yield the wanted lines, oldest first; with `follow`, go on until cancelled.

    Raises ServiceFailure when journalctl cannot be run or refuses, and ValueError when `grep` is no regular expression.
    """
    pattern = _pattern(query.grep)
    argv = journal_arguments(journal, query)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"} | dict(journal.environment)
    try:
        process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise ServiceFailure("", f"{argv[0]} cannot be run: {error.strerror or error}") from error
    with process:
        try:
            yield from _wanted(process, query, pattern, cancelled)
        finally:
            process.kill()


def journal_arguments(journal: Journal, query: Query) -> list[str]:
    """Return the argument list of journalctl for the query; no value in it can be taken for an option."""
    argv = [*journal.argv, "--output=json", "--all", "--no-pager", "--quiet"]
    if journal.place == "system":
        argv += [f"--unit={unit}.service" for unit in query.units]
    else:
        argv.append(f"--directory={journal.place}")
    # A filter of ours must see every line; journalctl's own may be built without regular expressions.
    argv.append(f"--lines={'all' if query.grep else query.lines}")
    if query.since is not None:
        argv.append(f"--since=@{int(query.since)}")
    if query.follow:
        argv.append("--follow")
    if journal.place != "system":
        argv += [f"OBSERVABILITY_UNIT={unit}" for unit in query.units]
    return argv


def parse_line(line: bytes) -> wire.Event | None:
    """Given one line of `journalctl --output=json`, return it as an event; None when it is no entry."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    unit = _text(fields.get("OBSERVABILITY_UNIT") or fields.get("UNIT") or fields.get("_SYSTEMD_UNIT") or "")
    data = {
        "unit": unit.removesuffix(".service"),
        "identifier": _text(fields.get("SYSLOG_IDENTIFIER") or ""),
        "priority": int(_text(fields.get("PRIORITY") or "6")),
        "time": int(_text(fields.get("__REALTIME_TIMESTAMP") or "0")) / 1e6,
    }
    return wire.Event("log", "progress", _text(fields.get("MESSAGE")), data)


def _text(value: Any) -> str:
    if isinstance(value, list):
        # A value that is not text comes as numbers; a field that occurs twice comes as a list of its values.
        if all(isinstance(item, int) for item in value):
            return bytes(value).decode("utf-8", "replace")
        return _text(value[0]) if value else ""
    return "" if value is None else str(value)


def _pattern(grep: str) -> re.Pattern[str] | None:
    if not grep:
        return None
    try:
        return re.compile(grep)
    except re.error as error:
        raise ValueError(f"{grep!r} is not a regular expression: {error}") from error


def _wanted(
    process: subprocess.Popen[bytes], query: Query, pattern: re.Pattern[str] | None, cancelled: Callable[[], bool]
) -> Iterator[wire.Event]:
    last: deque[wire.Event] = deque(maxlen=query.lines)
    live = seen = False
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - both were asked for as pipes
    for line in _lines(process.stdout, cancelled):
        if line is None:
            if query.follow:  # what is kept has been read to its end; from now on lines come as they are written
                yield from last
                last.clear()
                live = seen
            continue
        seen = True
        event = parse_line(line)
        if event is None or (pattern and not pattern.search(event.message)):
            continue
        if live or pattern is None:
            yield event
        else:
            last.append(event)
    yield from last
    if not cancelled() and not query.follow and process.wait(timeout=10):
        complaint = process.stderr.read(4096).decode("utf-8", "replace").strip()
        raise ServiceFailure("", f"journalctl ended with {process.returncode}", complaint)


def _lines(pipe: IO[bytes], cancelled: Callable[[], bool]) -> Iterator[bytes | None]:
    """Yield each line, and None whenever nothing has come for a while."""
    rest = b""
    descriptor = pipe.fileno()
    while not cancelled():
        if not select.select([descriptor], [], [], POLL_S)[0]:
            yield None
            continue
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return
        *complete, rest = (rest + chunk).split(b"\n")
        yield from complete
