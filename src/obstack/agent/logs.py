"""The lines of units, read by journalctl as events: from the machine's journal, a private root's, or a host's here.

A host ships each line at least once. Lines that are the same to the last byte, mark and time included, are one line
that came twice (`journal_entries` gives each its mark), so only one of them is passed on.

Lines are passed on as they are: whoever prints them to a terminal makes control characters inert.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from obstack.agent import wire
from obstack.agent.services import ServiceFailure

POLL_S = 0.2
COMPLAINT_LIMIT = 4096
LINE_LIMIT = 4 << 20
PRIORITIES = frozenset("01234567")
INFORMATION = 6
REMEMBERED = 100_000
"""So many lines are remembered while lines are followed, to tell one that comes again."""

OF_THE_FILE = ("__CURSOR", "__SEQNUM", "__SEQNUM_ID")
"""What tells where a line stands in a file, and not which line it is."""


@dataclass(frozen=True)
class Query:
    """Which lines are wanted: the last `lines` of `units`, of `since` to `until` (unix times), that match `grep`."""

    units: Sequence[str]
    lines: int = 100
    since: float | None = None
    grep: str = ""
    follow: bool = False
    until: float | None = None


@dataclass(frozen=True)
class Journal:
    """How the journal is read: the beginning of the argument list, its environment, `system` or a directory.

    In one that was `shipped` by a host, units are systemd's, and a line may stand more than once.
    """

    argv: tuple[str, ...] = ("journalctl",)
    environment: tuple[tuple[str, str], ...] = ()
    place: str = "system"
    shipped: bool = False


def journal_of(manifest: wire.Manifest) -> Journal:
    """Return the manifest's own way to its journal, which its log-line gate names."""
    for gate in manifest.gates:
        if gate.kind == "log-line":
            params = gate.params
            environment = tuple(sorted((params.get("environment") or {}).items()))
            return Journal(tuple(params["journalctl"]), environment, str(params["journal"]))
    return Journal()


def hosts_of(manifest: wire.Manifest) -> tuple[str, ...]:
    """Return the hosts whose journals this node takes, which its gate of them names."""
    return tuple(str(host) for gate in _receiving(manifest) for host in gate.params["hosts"])


def journal_of_host(manifest: wire.Manifest, host: str) -> Journal:
    """Return the way to the journal of one of `hosts_of`. Raises ValueError for another."""
    for gate in _receiving(manifest):
        if host in gate.params["hosts"]:
            environment = tuple(sorted((gate.params.get("environment") or {}).items()))
            return Journal(tuple(gate.params["journalctl"]), environment, f"{gate.params['folder']}/{host}", True)
    raise ValueError(f"the journal of {host} is not taken here")


def _receiving(manifest: wire.Manifest) -> list[wire.GateEntry]:
    return [gate for gate in manifest.gates if gate.kind == "journal-received"]


def read_logs(journal: Journal, query: Query, cancelled: Callable[[], bool]) -> Iterator[wire.Event]:
    """Yield the wanted lines, oldest first; with `follow`, go on until cancelled.

    Raises ServiceFailure when journalctl cannot be run, and after the lines that it showed when it ended with an error;
    ValueError when `grep` is no regular expression.
    """
    pattern = _pattern(query.grep)
    argv = journal_arguments(journal, query)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"} | dict(journal.environment)
    # A file takes any number of complaints; journalctl would wait for who reads them from a pipe.
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
            )
        except OSError as error:
            raise ServiceFailure("", f"{argv[0]} cannot be run: {error.strerror or error}") from error
        with process:
            try:
                if journal.shipped and not query.follow:
                    whole = yield from _last_shipped(process, query, pattern, cancelled)
                else:
                    yield from _wanted(process, query, pattern, cancelled, Doubles() if journal.shipped else None)
                    whole = True
                if whole and not cancelled():
                    _demand_success(process, complaints)
            finally:
                process.kill()


def _demand_success(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    """Let journalctl, which has closed its output, end. Raises ServiceFailure with its words when it did not do well.

    What it has shown until then has been passed on: a part that is told to be one is worth more than nothing.
    """
    code = process.wait(timeout=10)
    if code:
        complaints.seek(0)
        words = complaints.read(COMPLAINT_LIMIT).decode("utf-8", "replace").strip()
        raise ServiceFailure("", f"journalctl ended with {code}", words)


def journal_arguments(journal: Journal, query: Query) -> list[str]:
    """Return the argument list of journalctl for the query; no value in it can be taken for an option."""
    argv = [*journal.argv, "--output=json", "--all", "--no-pager", "--quiet"]
    if journal.place != "system":
        argv.append(f"--directory={journal.place}")
    if journal.shipped:
        argv += [f"--unit={unit}" for unit in query.units]
    elif journal.place == "system":
        argv += [f"--unit={unit}.service" for unit in query.units]
    if journal.shipped and not query.follow:
        argv.append("--reverse")  # until there are enough of them, without the doubles
    else:
        # A filter of ours must see every line; journalctl's own may be built without regular expressions.
        argv.append(f"--lines={'all' if query.grep else query.lines}")
    if query.since is not None:
        argv.append(f"--since=@{int(query.since)}")
    if query.until is not None:
        argv.append(f"--until=@{int(query.until)}")
    if query.follow:
        argv.append("--follow")
    if journal.place != "system" and not journal.shipped:
        argv += [f"OBSERVABILITY_UNIT={unit}" for unit in query.units]
    return argv


def parse_line(line: bytes) -> wire.Event | None:
    """Given one line of `journalctl --output=json`, return it as an event; None when it is no entry."""
    fields = _fields(line)
    return None if fields is None else _event(fields)


class Doubles:
    """Tells lines that were there already, among the last so many."""

    def __init__(self) -> None:
        self._seen: dict[bytes, None] = {}

    def holds(self, fields: dict[str, Any]) -> bool:
        """Tell whether the line was there already, and remember it."""
        line = {name: value for name, value in fields.items() if name not in OF_THE_FILE}
        digest = hashlib.blake2b(json.dumps(line, sort_keys=True).encode(), digest_size=16).digest()
        if digest in self._seen:
            return True
        self._seen[digest] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return False


def _fields(line: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _event(fields: dict[str, Any]) -> wire.Event:
    unit = _text(fields.get("OBSERVABILITY_UNIT") or fields.get("UNIT") or fields.get("_SYSTEMD_UNIT") or "")
    data = {
        "unit": unit.removesuffix(".service"),
        "identifier": _text(fields.get("SYSLOG_IDENTIFIER") or ""),
        "priority": _priority(_text(fields.get("PRIORITY"))),
        "time": _time(_text(fields.get("__REALTIME_TIMESTAMP"))),
    }
    return wire.Event("log", "progress", _text(fields.get("MESSAGE")), data)


def _time(text: str) -> float:
    return int(text) / 1e6 if re.fullmatch(r"[0-9]{1,18}", text) else 0.0


def _priority(text: str) -> int:
    """Return the priority, 0 to 7; any program may write any text there, and what is none counts as information."""
    return int(text) if text in PRIORITIES else INFORMATION


def _text(value: Any) -> str:
    if isinstance(value, list):
        # A value that is not text comes as numbers; a field that occurs twice comes as a list of its values.
        if all(isinstance(item, int) and 0 <= item <= 255 for item in value):
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


def _last_shipped(
    process: subprocess.Popen[bytes], query: Query, pattern: re.Pattern[str] | None, cancelled: Callable[[], bool]
) -> Generator[wire.Event, None, bool]:
    """Yield the last lines, oldest first, of a journal that is read backwards and has doubles.

    Returns whether it was read to its end, which is not needed when there are enough lines before.
    """
    doubles = Doubles()
    found: list[wire.Event] = []
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    for line in _lines(process.stdout, cancelled):
        fields = _fields(line) if line else None
        if fields is None or (pattern and not pattern.search(_text(fields.get("MESSAGE")))) or doubles.holds(fields):
            continue
        found.append(_event(fields))
        if len(found) == query.lines:
            break
    yield from reversed(found)
    return len(found) < query.lines


def _wanted(
    process: subprocess.Popen[bytes],
    query: Query,
    pattern: re.Pattern[str] | None,
    cancelled: Callable[[], bool],
    doubles: Doubles | None,
) -> Iterator[wire.Event]:
    last: deque[wire.Event] = deque(maxlen=query.lines)
    live = seen = False
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    for line in _lines(process.stdout, cancelled):
        if line is None:
            if query.follow:  # what is kept has been read to its end; from now on lines come as they are written
                yield from last
                last.clear()
                live = seen
            continue
        seen = True
        fields = _fields(line)
        if fields is None or (doubles and doubles.holds(fields)):
            continue
        event = _event(fields)
        if pattern and not pattern.search(event.message):
            continue
        if live or pattern is None:
            yield event
        else:
            last.append(event)
    yield from last


def _lines(pipe: IO[bytes], cancelled: Callable[[], bool]) -> Iterator[bytes | None]:
    """Yield each line, and None whenever nothing has come for a while.

    A host may have shipped an entry of hundreds of megabytes: of a line that is too long, only that it was is told.
    """
    rest, size = bytearray(), 0
    descriptor = pipe.fileno()
    while not cancelled():
        if not select.select([descriptor], [], [], POLL_S)[0]:
            yield None
            continue
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return
        *ends, begun = chunk.split(b"\n")
        for end in ends:
            size += len(end)
            yield bytes(rest + end) if size <= LINE_LIMIT else _left_out(size)
            rest, size = bytearray(), 0
        size += len(begun)
        rest += begun[: max(0, LINE_LIMIT - len(rest))]


def _left_out(size: int) -> bytes:
    return json.dumps({"MESSAGE": f"(a line of {size} bytes is left out)", "PRIORITY": "4"}).encode()
