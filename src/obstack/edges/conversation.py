"""The controller's end of the line to an agent: one request out, events and needs in, contents out, one reply in."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from obstack.agent import wire
from obstack.errors import FAMILIES
from obstack.ports import Contents

CHUNK = 1 << 20
PIECE = 1 << 16
"""So much is sent at a time: even by a slow line it is through before the machine counts as silent."""
SLOWEST_BYTES_S = 16 << 10
"""Who takes in less than that wants to keep this side busy."""
LINE_LIMIT = 64 << 20
"""The machine's own agent is trusted; it describes ten thousand hosts in one line."""
GREETING_LIMIT = 1 << 20
"""So much may be printed before the agent speaks."""
COMPLAINT_LINES = 20

T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """What the other end may demand of this one: a machine that was broken into could ask and talk for ever.

    `line` is how long a line may be; `messages` how many there may be, and `served` how often one content is sent (many
    artifacts may hold the same archive). So often may it have a connection proven (`confirmed`), and one thing asked by
    each kind of other message (`asked`). `patience_s` is how long it may take in all, beside what it takes in of us.
    """

    line: int = LINE_LIMIT
    messages: float = math.inf
    served: float = math.inf
    confirmed: float = math.inf
    asked: float = math.inf
    patience_s: float = math.inf


UNBOUND = Bounds()

Hook = Callable[["Conversation", dict[str, Any]], None]
"""What answers a kind of message that only one channel's other end sends."""


class Unintelligible(Exception):
    """What came is nothing that an agent says."""


class Conversation:
    """Given a process that is the agent or leads to it, speak with the agent about one request.

    `confirm` opens a new connection to the machine and tells whether that was possible. `hooks` are by kind of message.
    A process that says or takes nothing for `silence_s` is killed, and `silent` tells so; None: it is waited for. Then
    the patience of `bounds` counts as well, and `endless` tells so. One that demands more is not understood.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        request: wire.Request,
        contents: Contents,
        on_event: Callable[[wire.Event], None],
        *,
        confirm: Callable[[], bool] = lambda: True,
        hooks: Mapping[str, Hook] | None = None,
        silence_s: float | None = None,
        bounds: Bounds = UNBOUND,
    ) -> None:
        self._process = process
        self._silence_s = silence_s
        self._bounds = bounds
        self._counted: Counter[str] = Counter()
        self._sent = 0
        self._began = time.monotonic()
        self._waiting: float | None = None  # since when this side waits for the other
        self._over = threading.Event()
        self.silent = self.endless = False
        self._source = _pipe(process.stdout)
        self._sink = _pipe(process.stdin)
        self._turn = threading.Lock()  # an interruption may come from another thread, and never in the midst of bytes
        self._request = request
        self._contents = contents
        self._on_event = on_event
        self._confirm = confirm
        self._hooks = hooks or {}
        self._asked = False
        self._interrupted = False
        self.answered = False

    def hold(self) -> wire.Reply | None:
        """Speak until the reply has come and return it; None when the agent went away without one.

        Raises Unintelligible.
        """
        if self._silence_s is not None:
            threading.Thread(target=self._watch, args=(self._silence_s,), daemon=True).start()
        try:
            return self._speak()
        finally:
            self._over.set()

    def _speak(self) -> wire.Reply | None:
        self.ask()
        for message in self._messages():
            self.answered = True
            kind = str(message.get("type"))
            self._count("messages", self._bounds.messages)
            if kind == "event":
                self._on_event(_decode(wire.Event, message))
            elif kind == "need":
                self._serve(_decode(wire.Need, message))
            elif kind == "confirm":
                self._count("confirmations", self._bounds.confirmed)
                if self._confirm():
                    self.send(wire.line(wire.Confirmed()))
            elif kind == "reply":
                return _reply(message)
            elif kind in self._hooks:
                self._count(kind, self._bounds.asked)
                self._hooks[kind](self, message)
        return None

    def _count(self, what: str, most: float) -> None:
        self._counted[what] += 1
        if self._counted[what] > most:
            raise Unintelligible(f"it demands {what} without end")

    def ask(self) -> None:
        """Send the request, and the wish to leave off that came before it."""
        with self._turn:
            self._asked = True
            self._write(wire.line(self._request) + (wire.line(wire.Interrupt()) if self._interrupted else b""))

    def send(self, content: bytes) -> None:
        """Send bytes that belong together. An agent that has gone is told by the missing reply, not here."""
        with self._turn:
            self._write(content)

    def withdraw(self, content: bytes) -> None:
        """Send bytes to what is not the agent yet. An interruption waits until the agent is asked anew."""
        with self._turn:
            self._asked = False
            self._write(content)

    def interrupt(self) -> None:
        """Tell the agent to leave off once what is being sent is through. It never waits: a signal may call it."""
        threading.Thread(target=self._interrupt, daemon=True).start()

    def _interrupt(self) -> None:
        with self._turn:
            self._interrupted = True
            if self._asked:
                self._write(wire.line(wire.Interrupt()))

    def close(self) -> None:
        """End the input of the agent."""
        with self._turn, contextlib.suppress(OSError):
            self._sink.close()

    def _watch(self, silence_s: float) -> None:
        while not self._over.wait(silence_s / 8):
            since, now = self._waiting, time.monotonic()
            self.silent = since is not None and now - since > silence_s
            self.endless = now - self._began - self._sent / SLOWEST_BYTES_S > self._bounds.patience_s
            if self.silent or self.endless:
                self._process.kill()
                return

    @contextlib.contextmanager
    def _wait(self) -> Iterator[None]:
        self._waiting = time.monotonic()
        try:
            yield
        finally:
            self._waiting = None

    def _lines(self) -> Iterator[bytes]:
        while True:
            with self._wait():
                raw = self._source.readline(self._bounds.line)
            if not raw:
                return
            if len(raw) == self._bounds.line:
                raise Unintelligible(f"a line of more than {len(raw)} bytes came")
            yield raw

    def _messages(self) -> Iterator[dict[str, Any]]:
        """Yield what comes. What a login shell prints before the agent speaks is passed over."""
        greeted = 0
        for raw in self._lines():
            try:
                message = wire.load(raw)
            except wire.WireError as error:
                greeted += len(raw)
                if self.answered or greeted > GREETING_LIMIT:
                    raise Unintelligible(str(error)) from error
                continue
            if isinstance(message, dict):
                yield message

    def _serve(self, need: wire.Need) -> None:
        """Send each content that is needed; one that is not here is announced with the size -1."""
        for digest in need.digests:
            self._count(f"the content {digest[:12]}", self._bounds.served)
            if digest in self._contents.blobs:
                content = self._contents.blobs[digest]
                self.send(wire.line(wire.Blob(digest, len(content))) + content)
            elif digest in self._contents.files:
                self._send_file(digest)
            else:
                self.send(wire.line(wire.Blob(digest, -1)))

    def _send_file(self, digest: str) -> None:
        with open(self._contents.files[digest], "rb") as stream, self._turn:
            self._write(wire.line(wire.Blob(digest, os.fstat(stream.fileno()).st_size)))
            while chunk := stream.read(CHUNK):
                self._write(chunk)

    def _write(self, content: bytes) -> None:
        if not self._sink.closed:
            with contextlib.suppress(BrokenPipeError), memoryview(content) as whole:
                for start in range(0, len(whole), PIECE):
                    with self._wait():
                        self._sink.write(whole[start : start + PIECE])
                        self._sink.flush()
                    self._sent += PIECE


def _reply(message: dict[str, Any]) -> wire.Reply:
    reply = _decode(wire.Reply, message)
    if reply.outcome not in wire.OUTCOMES:
        raise Unintelligible(f"there is no outcome {reply.outcome!r:.80}")
    if reply.fault is not None and reply.fault.exit_code not in FAMILIES:
        raise Unintelligible(f"there is no exit code {reply.fault.exit_code}")
    return reply


def _decode(kind: type[T], message: dict[str, Any]) -> T:
    try:
        return wire.decode(kind, message)
    except wire.WireError as error:
        raise Unintelligible(str(error)) from error


def last_lines(complaints: bytes) -> str | None:
    """Given what a process said on its standard error, return the end of it for an error; None for nothing."""
    return "\n".join(complaints.decode("utf-8", "replace").strip().splitlines()[-COMPLAINT_LINES:]) or None


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the agent was started without a pipe")
    return pipe
