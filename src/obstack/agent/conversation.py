"""The agent's end of the line: one request in, events and needs out, contents in, one reply out.

Nobody listening any more is no reason to stop: what was begun is carried to its end, and the record tells it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from typing import BinaryIO

from obstack.agent import wire
from obstack.agent.faults import CHANGE_FAILED, USAGE, AgentError
from obstack.agent.store import mismatch

LINE_LIMIT = 64 * 1024 * 1024
CHUNK = 1 << 20
PROGRESS_STEPS = 20
"""So often at most the receipt of one need is told: who is sending does not read, and a pipe holds only so much."""


class Conversation:
    """Given the two streams, speak with the controller. Events may come from several threads."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._deaf = False
        self._turn = threading.Lock()

    def request(self) -> wire.Request:
        """Read the request. Raises AgentError `bad-request` for anything else, or another protocol."""
        raw = self._source.readline(LINE_LIMIT)
        try:
            data = json.loads(raw)
            protocol = data.get("protocol") if isinstance(data, dict) else None
            if protocol != wire.PROTOCOL:
                raise wire.WireError(f"protocol {protocol!r} is not spoken here, {wire.PROTOCOL} is")
            return wire.decode(wire.Request, data)
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

    def emit(self, event: wire.Event) -> None:
        """Send one event."""
        self.send(event)

    def send(self, value: object) -> None:
        """Send one line, or nothing when nobody listens any more."""
        with self._turn:
            if self._deaf:
                return
            try:
                self._sink.write(wire.line(value))
                self._sink.flush()
            except (BrokenPipeError, ConnectionResetError, OSError):
                self._deaf = True

    def receive(self, wanted: Mapping[str, int], folder: str) -> None:
        """Ask for contents and put each, verified, into `folder` under its digest.

        Raises AgentError `content-missing` when the controller has none or goes away, `digest-mismatch` when it sends
        something else; OSError when it cannot be written.
        """
        self.send(wire.Need(tuple(wanted)))
        for number in range(1, len(wanted) + 1):
            blob = self._announcement()
            if blob.digest not in wanted or blob.size != wanted[blob.digest]:
                reason = f"a content of {blob.size} bytes came, which was not asked for" if blob.size >= 0 else ""
                raise _missing(blob.digest, reason or "the controller does not have it")
            self._store(blob, os.path.join(folder, blob.digest))
            if number * PROGRESS_STEPS // len(wanted) > (number - 1) * PROGRESS_STEPS // len(wanted):
                self.emit(wire.Event("stage", "progress", "receiving", {"done": number, "total": len(wanted)}))

    def _announcement(self) -> wire.Blob:
        raw = self._source.readline(LINE_LIMIT)
        try:
            return wire.decode(wire.Blob, json.loads(raw))
        except (ValueError, RecursionError) as error:
            reason = str(error) if raw else "the connection ended"
            raise _missing("contents", reason) from error

    def _store(self, blob: wire.Blob, path: str) -> None:
        digest = hashlib.sha256()
        left = blob.size
        with open(path, "wb") as stream:
            while left:
                chunk = self._source.read(min(left, CHUNK))
                if not chunk:
                    raise _missing(blob.digest, f"the connection ended {left} bytes before its end")
                digest.update(chunk)
                stream.write(chunk)
                left -= len(chunk)
        if digest.hexdigest() != blob.digest:
            raise mismatch("what the controller sent", blob.digest, digest.hexdigest())


def _missing(subject: str, reason: str) -> AgentError:
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="content-missing",
        what="A content that is needed was not sent.",
        where=f"{subject}: {reason}",
        do="observability apply",
        state="nothing was changed",
    )
