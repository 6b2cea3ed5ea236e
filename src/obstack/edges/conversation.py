"""The controller's end of the line to an agent: one request out, events and needs in, contents out, one reply in."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from obstack.agent import wire
from obstack.ports import Contents

CHUNK = 1 << 20
COMPLAINT_LINES = 20

Hook = Callable[["Conversation", dict[str, Any]], None]
"""What answers a kind of message that only one channel's other end sends."""


class Conversation:
    """Given a process that is the agent or leads to it, speak with the agent about one request.

    `confirm` opens a new connection to the machine and tells whether that was possible. `hooks` are by kind of message.
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
    ) -> None:
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
        """Speak until the reply has come and return it; None when the agent went away without one."""
        self.ask()
        for message in self._messages():
            self.answered = True
            kind = str(message.get("type"))
            if kind == "event":
                self._on_event(wire.decode(wire.Event, message))
            elif kind == "need":
                self._serve(wire.decode(wire.Need, message))
            elif kind == "confirm":
                if self._confirm():
                    self.send(wire.line(wire.Confirmed()))
            elif kind == "reply":
                return wire.decode(wire.Reply, message)
            elif kind in self._hooks:
                self._hooks[kind](self, message)
        return None

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

    def _messages(self) -> Iterator[dict[str, Any]]:
        """Yield what comes. What a login shell prints before the agent speaks is passed over."""
        for raw in self._source:
            try:
                message = json.loads(raw)
            except ValueError:
                if self.answered:
                    raise
                continue
            if isinstance(message, dict):
                yield message

    def _serve(self, need: wire.Need) -> None:
        """Send each content that is needed; one that is not here is announced with the size -1."""
        for digest in need.digests:
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
            with contextlib.suppress(BrokenPipeError):
                self._sink.write(content)
                self._sink.flush()


def last_lines(complaints: bytes) -> str | None:
    """Given what a process said on its standard error, return the end of it for an error; None for nothing."""
    return "\n".join(complaints.decode("utf-8", "replace").strip().splitlines()[-COMPLAINT_LINES:]) or None


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the agent was started without a pipe")
    return pipe
