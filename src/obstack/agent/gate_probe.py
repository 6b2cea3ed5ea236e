"""What every gate probe stands on: its context, the watch over the units, red answers and plain HTTP.

A probe is called until it returns (green; the text says what was seen) or its deadline has passed (red). It raises
`Red` while it is not satisfied. Requests never go through a proxy and never wait long.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from obstack.agent import wire
from obstack.agent.services import ServiceFailure, ServiceManager, UnitState, describe

REQUEST_TIMEOUT_S = 3.0
WHOLE = 3
"""So many times as long as its beginning may a whole answer take."""
EVIDENCE_LIMIT = 8_192
BODY_LIMIT = 128 * 1024 * 1024
"""Prometheus describes each of its targets with about one thousand characters, and a fleet has tens of thousands."""
WATCH_FIRST_S = 0.3
WATCH_LONGEST_S = 1.0
WATCH_MARGIN_S = 0.05

Probe = Callable[[], str]
TargetKey = tuple[str, str]
"""A scrape target: its labels job and instance."""


@dataclass(frozen=True)
class GateContext:
    """What the gates of one run are given.

    `tree` is the folder of the generation that is in force (it holds `etc/` and `artifacts/`). `acted` gives, by unit,
    the unix time at which an act on it had been completed in this run. `active` runs the probes that write something
    too. A unit that was started in this run must have run for `settle_s` before it counts. `cancelled` is asked between
    tries; `on_event` is called from one thread only. `demanded` are the targets of other machines that must be up: what
    is not there to be judged by this run may be down without turning a gate red. `confirm` has the controller open a
    new connection, and says whether it has within so many seconds; None on a way back, where nobody is asked.
    """

    root: str
    tree: str
    manifest: wire.Manifest
    manager: ServiceManager
    acted: Mapping[str, float] = field(default_factory=dict)
    active: bool = False
    settle_s: float = 3.0
    cancelled: Callable[[], bool] = lambda: False
    on_event: Callable[[wire.Event], None] = lambda _: None
    demanded: frozenset[TargetKey] = frozenset()
    confirm: Callable[[float], bool] | None = None


class Red(Exception):
    """What was asked for does not hold, or not yet. `evidence` is what was seen, without secrets."""

    def __init__(self, message: str, evidence: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence


@dataclass(frozen=True)
class Trouble:
    """A unit that will not come right by waiting."""

    unit: str
    message: str


class Watch:
    """Looks at all units of the manifest from time to time while gates are pending, in one request each time.

    The looks come further and further apart, and there is one as soon as what was started may count as running.
    `trouble` is set for good once a unit has failed, waits for an automatic restart, was started again by its manager
    since the run began, or was found stopped twice in a row.
    """

    def __init__(self, context: GateContext) -> None:
        self._context = context
        self._units = [unit for unit in context.manifest.units if not unit.boot_only]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate-watch", daemon=True)
        self._first: dict[str, UnitState] = {}
        self.states: dict[str, UnitState] = {}
        self.trouble: Trouble | None = None
        self.looked = 0.0

    def __enter__(self) -> Watch:
        self.look()
        self._first = self.states
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Take one look and judge it."""
        before = self.states
        try:
            self.states = self._context.manager.states(self._units)
        except ServiceFailure as failure:
            self.trouble = self.trouble or Trouble(failure.unit, failure.what)
            return
        self.looked = time.monotonic()
        for unit in self._units:
            if not unit.file and unit.name not in self._context.acted:
                continue  # what happens to the machine's own, untouched by this run, is for alerts to tell
            state = self.states[unit.name]
            message = judge_state(state, self._first.get(unit.name), self._context.acted.get(unit.name))
            if not message and unit.file and unit.name in before and is_stopped(state, before[unit.name]):
                message = f"unit {unit.name} is {describe(state)} and nothing starts it"
            if message:
                self.trouble = self.trouble or Trouble(unit.name, message)

    def _run(self) -> None:
        pause_s = WATCH_FIRST_S
        while not self._stop.wait(min(pause_s, self._settled_in_s())):
            self.look()
            pause_s = min(pause_s * 1.5, WATCH_LONGEST_S)

    def _settled_in_s(self) -> float:
        """Return how long the youngest unit that was acted on has yet to run before it counts, if that is of use."""
        started = [
            state.started_monotonic_s
            for name, state in self.states.items()
            if name in self._context.acted and state.started_monotonic_s is not None
        ]
        left_s = max(started, default=0.0) + self._context.settle_s - time.monotonic()
        return left_s + WATCH_MARGIN_S if left_s > 0 else WATCH_LONGEST_S


def judge_state(state: UnitState, first: UnitState | None, acted: float | None) -> str:
    """Return why the unit is in trouble, or an empty text.

    `first` is the look at the beginning of the run; `acted` the unix time of the act on the unit, if there was one.
    """
    if state.broken:
        return f"unit {state.name} is {describe(state)}"
    if first is not None and state.restarts > first.restarts:
        return f"unit {state.name} died and was restarted {state.restarts - first.restarts} times"
    # Where the manager counts, another process without a count is a restart that somebody asked for, as a package
    # upgrade does. That is no death.
    if first is not None and not state.counts and first.pid and state.pid and first.pid != state.pid:
        return f"unit {state.name} died and was started again: process {first.pid} became {state.pid}"
    if acted is not None and state.restarts and state.started_monotonic_s is not None:
        # A start by hand sets the count to zero, so every restart after the act is the manager's own.
        started = time.time() - (time.monotonic() - state.started_monotonic_s)
        if started > acted:
            return f"unit {state.name} died after it was acted on and was restarted {state.restarts} times"
    return ""


def is_stopped(state: UnitState, before: UnitState) -> bool:
    """Return whether two looks in a row found the unit stopped; one alone may fall between stop and start."""
    return state.active == before.active == "inactive"


# --------------------------------------------------------------------------------------------------------- HTTP


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` is bounded."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def excerpt(self) -> str:
        """Return the beginning of the body, for evidence."""
        return self.body[:1024].decode("utf-8", "replace")


class TlsConnection(http.client.HTTPConnection):
    """Connects to an address and verifies the certificate for a name that need not resolve to it."""

    def __init__(self, address: str, port: int, host: str, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=REQUEST_TIMEOUT_S)
        self.name = host
        self.context = context

    def connect(self) -> None:
        """Connect, shake hands and verify. Raises OSError."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        try:
            self.sock = self.context.wrap_socket(plain, server_hostname=self.name)
        except BaseException:
            plain.close()
            raise


def fetch(
    url: str, *, method: str = "GET", body: bytes | None = None, content_type: str = "", timeout_s: float = 0.0
) -> Answer:
    """Return the answer to one plain HTTP request, redirects not followed; raise Red when there is none."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=timeout_s or REQUEST_TIMEOUT_S
    )
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    headers = {"Content-Type": content_type} if content_type else {}
    try:
        return exchange(connection, method, target, headers, body, place=parts.netloc)
    finally:
        connection.close()


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    place: str,
    limit: int = BODY_LIMIT,
) -> Answer:
    """Send one request over the connection and return the answer; raise Red, naming `place`, when there is none.

    Who answers may have been broken into: at most `limit` bytes are read, and an answer that drips is given up.
    """
    try:
        with ended_in_time(connection):
            connection.request(method, target, body=body, headers=dict(headers))
            response = connection.getresponse()
            content = response.read(limit)
    except ssl.SSLCertVerificationError as error:
        raise Red(f"the certificate of {place} is not accepted: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Red(f"{place} does not answer {method} {target}: {reason_of(error)}") from error
    return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, content)


@contextlib.contextmanager
def ended_in_time(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Connect, and cut the connection when the block takes much longer than one answer may take to begin.

    A timeout of a socket counts for each of its bytes, and an answer of one byte a second would never end.
    """
    if connection.sock is None:
        connection.connect()
    # The socket itself: a connection lets go of it once an answer without length has begun.
    end = threading.Timer(WHOLE * (connection.timeout or REQUEST_TIMEOUT_S), _cut, [connection.sock])
    end.daemon = True
    end.start()
    try:
        yield
    finally:
        end.cancel()


def _cut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def reason_of(error: BaseException) -> str:
    """Return an operating system error in plain words: `connection refused`."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def expect(answer: Answer, status: int, what: str) -> Answer:
    """Return the answer when it has the status; raise Red, saying what was asked, otherwise."""
    if answer.status != status:
        raise Red(f"{what} answered {answer.status}, not {status}", answer.excerpt())
    return answer


def fetch_json(url: str, what: str, timeout_s: float = 0.0) -> Any:
    """Return the JSON that the URL answers with 200; raise Red otherwise."""
    answer = expect(fetch(url, timeout_s=timeout_s), 200, what)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise Red(f"{what} did not answer with JSON", answer.excerpt()) from error


def fetch_metric(url: str, name: str) -> float:
    """Return the value of a metric without labels from `<url>/metrics`; raise Red when it is not there."""
    answer = expect(fetch(f"{url}/metrics"), 200, f"GET {url}/metrics")
    for line in io.BytesIO(answer.body):  # never all lines at once: there may be very many
        words = line.split()
        if len(words) >= 2 and words[0] == name.encode():
            return float(words[1])
    raise Red(f"{url}/metrics has no {name}")


def bounded(text: str) -> str:
    """Return the text cut to what evidence may have, its end kept: what went wrong last is said last."""
    if len(text) <= EVIDENCE_LIMIT:
        return text
    return f"… {len(text) - EVIDENCE_LIMIT} characters left out …\n{text[-EVIDENCE_LIMIT:]}"
