"""The agent's end of the line: one request in, events and needs out, contents in, one reply out.

Nobody listening any more is no reason to stop: what was begun is carried to its end, and the record tells it.

Once the request has come, a thread listens, so that an interruption is heard while the agent works. It hands the input
over to whoever stores the bytes of a content, and goes on listening behind them.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from obstack.agent import wire
from obstack.agent.faults import CHANGE_FAILED, USAGE, AgentError
from obstack.agent.inlet import Inlet

LINE_LIMIT = 64 * 1024 * 1024
PROGRESS_STEPS = 20
"""So often at most the receipt of one need is told: who is sending does not read, and a pipe holds only so much."""
SILENCE_S = 60.0
"""So long a controller may send nothing of what it was asked for: nothing else tells of a connection that is dead."""

ALIVE_S = 15.0
"""So often the agent says that it is at work: a controller gives up a machine that says nothing."""


def nobody() -> None:
    """Hand an interruption to nobody."""


class Conversation:
    """Given the descriptor to read and the stream to write, speak with the controller. Events come from any thread.

    `interrupt` is called, from a thread of its own, when the controller wants the run to leave off. A controller that
    sends nothing for `silence_s` of what it was asked for is given up; it is told every `alive_s` that the agent works.
    """

    def __init__(
        self,
        source: int,
        sink: BinaryIO,
        interrupt: Callable[[], None] = nobody,
        silence_s: float = SILENCE_S,
        alive_s: float = ALIVE_S,
    ) -> None:
        self._source = os.dup(source)  # the listener's own: a number that was closed would soon be another file's
        self._inlet = Inlet(self._source)
        self._sink = sink
        self._interrupt = interrupt
        self._silence_s = silence_s
        self._alive_s = alive_s
        self._deaf = False
        self._over = threading.Event()  # the reply has been sent, and it is the last that is said
        self._turn = threading.Lock()
        self._heard = threading.Condition()
        self._announced: wire.Blob | None = None  # as long as its bytes are what comes next
        self._confirmations = 0
        self._ended: str | None = None

    def request(self) -> wire.Request:
        """Read the request, and listen from then on. Raises AgentError `bad-request` for anything else."""
        raw = self._inlet.line(LINE_LIMIT)
        try:
            data = json.loads(raw)
            protocol = data.get("protocol") if isinstance(data, dict) else None
            if protocol != wire.PROTOCOL:
                raise wire.WireError(f"protocol {protocol!r} is not spoken here, {wire.PROTOCOL} is")
            request = wire.decode(wire.Request, data)
        except (ValueError, RecursionError) as error:
            raise AgentError(
                exit_code=USAGE,
                code="bad-request",
                what="The agent was sent something that is no request.",
                where="standard input of the agent",
                do="use the same version on both ends: observability version",
                state="nothing was touched",
                detail=str(error),
            ) from error
        self.listen()
        threading.Thread(target=self._live, name="alive", daemon=True).start()
        return request

    def listen(self) -> None:
        """Hear from now on what the controller says."""
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    def emit(self, event: wire.Event) -> None:
        """Send one event."""
        self.send(event)

    def send(self, value: object) -> None:
        """Send one line, or nothing when nobody listens any more."""
        with self._turn:
            if self._deaf or self._over.is_set():
                return
            if isinstance(value, wire.Reply):
                self._over.set()
            try:
                self._sink.write(wire.line(value))
                self._sink.flush()
            except (BrokenPipeError, ConnectionResetError, OSError):
                self._deaf = True

    def confirm(self, limit_s: float) -> bool:
        """Ask the controller to open a new connection to this machine; tell whether it has, within the time."""
        with self._heard:
            before = self._confirmations
            self.send(wire.Confirm())
            self._heard.wait_for(lambda: self._confirmations > before or self._ended is not None, limit_s)
            return self._confirmations > before

    def receive(self, wanted: Mapping[str, int], folder: str) -> None:
        """Ask for contents and put each into `folder` under its digest. Whoever takes it from there verifies it.

        Raises AgentError `content-missing` when the controller has none or goes away; OSError when it cannot be
        written.
        """
        self.send(wire.Need(tuple(wanted)))
        for number in range(1, len(wanted) + 1):
            blob = self._announcement()
            if blob.digest not in wanted or blob.size != wanted[blob.digest]:
                reason = f"a content of {blob.size} bytes came, which was not asked for" if blob.size >= 0 else ""
                raise _missing(blob.digest, reason or "the controller does not have it")
            self._store(blob, os.path.join(folder, blob.digest))
            with self._heard:
                self._announced = None
                self._heard.notify_all()
            if number * PROGRESS_STEPS // len(wanted) > (number - 1) * PROGRESS_STEPS // len(wanted):
                self.emit(wire.Event("stage", "progress", "receiving", {"done": number, "total": len(wanted)}))

    def _live(self) -> None:
        while not self._over.wait(self._alive_s):
            self.send(wire.Alive())

    def _listen(self) -> None:
        reason = "the connection ended"
        try:
            while raw := self._inlet.line(LINE_LIMIT):
                self._hear(json.loads(raw))
        except (ValueError, RecursionError, OSError) as error:
            reason = str(error)
        os.close(self._source)  # while a content is stored, this thread waits: nobody else reads
        with self._heard:
            self._ended = reason
            self._heard.notify_all()

    def _hear(self, data: Any) -> None:
        """Act on what was said. Raises WireError for what nobody says."""
        kind = data.get("type") if isinstance(data, dict) else None
        if kind == "interrupt":
            self._interrupt()
            return
        with self._heard:
            if kind == "confirmed":
                self._confirmations += 1
                self._heard.notify_all()
                return
            self._announced = wire.decode(wire.Blob, data)
            self._heard.notify_all()
            if self._announced.size >= 0:
                self._heard.wait_for(lambda: self._announced is None)

    def _announcement(self) -> wire.Blob:
        with self._heard:
            self._heard.wait_for(lambda: self._announced is not None or self._ended is not None, self._silence_s)
            if self._announced is None:
                raise _missing("contents", self._ended or f"nothing came for {self._silence_s:.0f} s")
            return self._announced

    def _store(self, blob: wire.Blob, path: str) -> None:
        left = blob.size
        with open(path, "wb") as stream:
            while left:
                try:
                    chunk = self._inlet.read(left, self._silence_s)
                except TimeoutError as error:
                    raise _missing(blob.digest, str(error)) from error
                if not chunk:
                    raise _missing(blob.digest, f"the connection ended {left} bytes before its end")
                stream.write(chunk)
                left -= len(chunk)


def _missing(subject: str, reason: str) -> AgentError:
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="content-missing",
        what="A content that is needed was not sent.",
        where=f"{subject}: {reason}",
        do="observability apply",
        state="nothing was changed",
    )
