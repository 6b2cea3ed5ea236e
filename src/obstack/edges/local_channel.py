"""The way to the agent of this machine: a child process, lines of JSON over its standard input and output.

The agent runs in a session of its own, so a Ctrl-C at the terminal reaches this program alone, which forwards it once:
the agent then leaves off before the switch, or goes back after it, and tells which.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from obstack.agent import wire
from obstack.edges.agent_archive import agent_folder
from obstack.errors import Unreachable
from obstack.ports import Contents

CHUNK = 1 << 20
STDERR_LINES = 20


class _Interruption:
    """Hands an interruption on to the agent, once, from whichever thread it comes."""

    def __init__(self) -> None:
        self._turn = threading.RLock()  # a signal may arrive while the main thread is in here
        self._process: subprocess.Popen[bytes] | None = None
        self._wished = False

    def concern(self, process: subprocess.Popen[bytes]) -> None:
        """Given the agent that was started, interrupt it if that was wished before."""
        with self._turn:
            self._process = process
            if self._wished:
                self._send()

    def wish(self) -> None:
        """Interrupt the agent at work, or the next one."""
        with self._turn:
            if not self._wished:
                self._wished = True
                self._send()

    def _send(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)


@dataclass(frozen=True)
class LocalChannel:
    """Given the node's name, the root prefix (empty on a server) and a folder to keep the agent in, reach the agent.

    `python` runs it; `environment` is added to the little that it is given.
    """

    node: str
    root: str
    cache: Path
    python: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()
    _interruption: _Interruption = field(default_factory=_Interruption, repr=False, compare=False)

    def interrupt(self) -> None:
        """Tell the agent, once, to leave off; what it did then is told by its reply."""
        self._interruption.wish()

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        """Send the request, serve what the agent needs, pass its events on and return its reply.

        An interruption (SIGINT, SIGTERM) is forwarded, and the reply's fault then says what the agent did. Raises
        Unreachable when the agent dies without a reply.
        """
        # -I -S: the agent is given the standard library and nothing else.
        argv = [self.python, "-I", "-S", str(agent_folder(self.cache)), "--root", self.root, "serve"]
        with tempfile.TemporaryFile() as complaints:
            with _held_back():
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    start_new_session=True,
                    cwd="/",
                    env=self._environment(),
                )
            self._interruption.concern(process)
            with process, self._forwarded():
                reply = _converse(process, request, contents, on_event)
                with contextlib.suppress(OSError):
                    _pipe(process.stdin).close()
                process.wait()
            if reply is None:
                complaints.seek(0)
                raise self._died(process.returncode, complaints.read())
        return reply

    @contextlib.contextmanager
    def _forwarded(self) -> Iterator[None]:
        """While the agent works, hand Ctrl-C on to it. Signals only reach a program's main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def forward(number: int, frame: FrameType | None) -> None:
            del number, frame
            self.interrupt()

        before: dict[int, Any] = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _environment(self) -> dict[str, str]:
        paths = dict.fromkeys(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        return {"PATH": ":".join(paths), "LANG": "C.UTF-8", **dict(self.environment)}

    def _died(self, code: int, complaints: bytes) -> Unreachable:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return Unreachable(
            code="agent-died",
            what=f"The agent {how} before it replied.",
            where=f"{self.node}, {self.root or '/'}",
            state="the machine is in the old or the new generation, or the next command puts it there",
            do="observability recover    then observability status",
            detail="\n".join(complaints.decode("utf-8", "replace").splitlines()[-STDERR_LINES:]) or None,
        )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the agent was started without a pipe")
    return pipe


def _converse(
    process: subprocess.Popen[bytes],
    request: wire.Request,
    contents: Contents,
    on_event: Callable[[wire.Event], None],
) -> wire.Reply | None:
    """Speak until the reply has come; None when the agent went away without one."""
    with contextlib.suppress(BrokenPipeError):  # an agent that died is told by the missing reply
        _send(process, wire.line(request))
    for raw in _pipe(process.stdout):
        data = json.loads(raw)
        kind = data.get("type")
        if kind == "event":
            on_event(wire.decode(wire.Event, data))
        elif kind == "need":
            with contextlib.suppress(BrokenPipeError):
                _serve(process, wire.decode(wire.Need, data), contents)
        elif kind == "reply":
            return wire.decode(wire.Reply, data)
    return None


def _send(process: subprocess.Popen[bytes], content: bytes) -> None:
    stream = _pipe(process.stdin)
    stream.write(content)
    stream.flush()


def _serve(process: subprocess.Popen[bytes], need: wire.Need, contents: Contents) -> None:
    """Send each content that is needed; one that is not here is announced with the size -1."""
    for digest in need.digests:
        if digest in contents.blobs:
            content = contents.blobs[digest]
            _send(process, wire.line(wire.Blob(digest, len(content))) + content)
        elif digest in contents.files:
            with open(contents.files[digest], "rb") as stream:
                _send(process, wire.line(wire.Blob(digest, os.fstat(stream.fileno()).st_size)))
                while chunk := stream.read(CHUNK):
                    _send(process, chunk)
        else:
            _send(process, wire.line(wire.Blob(digest, -1)))


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Start a program with interruptions held back: the agent receives them once it can answer, and does not die."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
