"""What the controller remembers of each machine's audit log: the heads that it was shown, one line each.

They lie beside the configuration (`.fleet/audit/NODE.jsonl`, 0600), hold numbers and hashes, and keep themselves out of
version control. A head stands for all entries before it, so a log that was shortened or written anew contradicts one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from obstack.agent import durable, wire
from obstack.agent.caller import clean, origin
from obstack.agent.faults import AgentError
from obstack.agent.paths import DIGEST
from obstack.errors import ChangeFailed
from obstack.ports import Channel, Contents

if TYPE_CHECKING:
    from obstack.plan.audit import Memory

FOLDER: Final = ".fleet"
NODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
TAIL: Final = 4096
"""So much of the end of a file holds its last line."""


class FileAuditMemory:
    """The memory below the folder of a configuration. Where there is no configuration, nothing is remembered."""

    def __init__(self, configuration: Path) -> None:
        """Given the folder of the configuration."""
        self._configuration = configuration
        self._folder = configuration / FOLDER / "audit"

    def recall(self, node: str) -> Memory:
        """Given a node, return what is remembered of its log."""
        from obstack.plan.audit import Memory

        heads, accepted = [], 0.0
        for fact in self._facts(node):
            head = _head(fact)
            if head is not None:
                heads.append(head)
            elif isinstance(fact.get("accepted"), (int, float)):
                accepted = float(fact["accepted"])
        return Memory(tuple(heads), accepted)

    def note(self, node: str, head: wire.AuditHead | None) -> None:
        """Given a node and the head that it shows, remember it if it is not the last one that was remembered.

        What cannot be written is not worth stopping a run for: `audit verify` says what was remembered.
        """
        if head is None or not NODE.fullmatch(node) or not DIGEST.fullmatch(head.hash) or head == self._last(node):
            return
        with contextlib.suppress(OSError):
            if self._prepare():
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
                with open(os.open(self._path(node), flags, 0o600), "wb", buffering=0) as stream:
                    stream.write(_line(wire.encode(head)))
                    os.fsync(stream.fileno())

    def settle(self, node: str, head: wire.AuditHead) -> None:
        """Given a node whose log was found whole, remember its head in place of the older ones, which it stands for."""
        remembered = self.recall(node)
        if remembered.heads != (head,):
            with contextlib.suppress(ChangeFailed):  # the older heads say the same
                self._replace(node, head, remembered.accepted)

    def accept(self, node: str, head: wire.AuditHead | None, now: float) -> None:
        """Forget what was remembered of a node: its log as it is now, with this head, counts. Raises ChangeFailed."""
        self._replace(node, head, now)

    def forget(self, node: str) -> None:
        """Given a node whose log went with a purge, remember nothing of it."""
        if NODE.fullmatch(node):
            with contextlib.suppress(OSError):
                self._path(node).unlink(missing_ok=True)

    def _path(self, node: str) -> Path:
        return self._folder / f"{node}.jsonl"

    def _prepare(self) -> bool:
        if not self._configuration.is_dir():
            return False
        if not self._folder.is_dir():
            self._folder.parent.mkdir(mode=0o700, exist_ok=True)
            (self._folder.parent / ".gitignore").write_text("*\n", encoding="ascii")
            self._folder.mkdir(mode=0o700, exist_ok=True)
        return True

    def _replace(self, node: str, head: wire.AuditHead | None, accepted: float) -> None:
        facts = [{"accepted": round(accepted, 3)}] if accepted else []
        facts += [wire.encode(head)] if head is not None else []
        try:
            if NODE.fullmatch(node) and self._prepare():
                durable.write_file(str(self._path(node)), b"".join(map(_line, facts)), 0o600)
        except (OSError, AgentError) as error:
            raise ChangeFailed(
                code="audit-not-remembered",
                what="What is remembered of the audit log could not be written.",
                where=f"{self._path(node)}: {error}",
                state="the machine was only looked at",
                do=f"ls -ld {self._folder}    and make it writable, then run the command again",
            ) from error

    def _last(self, node: str) -> wire.AuditHead | None:
        try:
            with open(self._path(node), "rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
                lines = stream.read().splitlines()
        except OSError:
            return None
        return _head(_fact(lines[-1])) if lines else None

    def _facts(self, node: str) -> list[dict[str, Any]]:
        try:
            return [_fact(line) for line in self._path(node).read_bytes().splitlines()] if NODE.fullmatch(node) else []
        except OSError:
            return []


@dataclass(frozen=True)
class AuditedChannel:
    """A channel that tells the agent who asks, and remembers the head of the audit log that comes with each reply."""

    channel: Channel
    memory: FileAuditMemory

    @property
    def node(self) -> str:
        """The name of the machine."""
        return self.channel.node

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        """Ask as the channel does, and raise what it raises."""
        reply = self.channel.ask(replace(request, who=clean(request.who), origin=origin()), contents, on_event)
        purged = request.verb == "uninstall" and reply.fault is None and reply.data.get("purged") is True
        if purged and reply.audit is None:
            self.memory.forget(self.node)
        else:
            self.memory.note(self.node, reply.audit)
        return reply

    def interrupt(self) -> None:
        """Tell the agent, once, to leave off."""
        self.channel.interrupt()


def _head(fact: dict[str, Any]) -> wire.AuditHead | None:
    sequence, digest = fact.get("sequence"), fact.get("hash")
    return wire.AuditHead(sequence, digest) if isinstance(sequence, int) and isinstance(digest, str) else None


def _fact(line: bytes) -> dict[str, Any]:
    """A line that cannot be read says nothing: a power cut tore it."""
    try:
        fact = wire.load(line)
    except ValueError:
        return {}
    return fact if isinstance(fact, dict) else {}


def _line(fact: dict[str, Any]) -> bytes:
    return json.dumps(fact, sort_keys=True).encode() + b"\n"
