"""What the operations need of the outside world, as protocols. The edges implement them; tests give their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from obstack.agent import wire


class Reporter(Protocol):
    """Shows progress to a person, on standard error. Results never go through it."""

    def event(self, node: str, event: wire.Event) -> None:
        """Show one event of a node's agent."""

    def step(self, message: str) -> None:
        """Say what is being done now, in the present tense."""

    def progress(self, message: str, done: int, total: int) -> None:
        """Show how far a long piece of work has got; `total` is 0 while it is not known."""


@dataclass(frozen=True)
class Contents:
    """Where the agent's needs are met from: small blobs in memory, archives in files. Both by SHA-256."""

    blobs: Mapping[str, bytes] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


class Channel(Protocol):
    """A way to the agent of one machine. One request, one conversation."""

    node: str

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        """Send the request, serve what the agent needs, pass its events on and return its reply.

        Raises Unreachable when the machine or its agent cannot be reached or stops answering, Interrupted when a
        person interrupted the run.
        """


class Clock(Protocol):
    """The only source of time in the operations."""

    def now(self) -> float:
        """Return seconds since 1970-01-01 UTC."""
