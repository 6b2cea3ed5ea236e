"""Progress of many nodes on standard error: on a terminal a moving line a node, elsewhere one line when it ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from obstack.agent import wire
from obstack.cli.output import colours_wanted, one_line
from obstack.cli.progress import LiveReporter, PlainReporter, QuietReporter, event_text, new_display
from obstack.ports import FleetReporter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class ClosingFleetReporter(FleetReporter, Protocol):
    """A reporter that has a display to tidy up."""

    def close(self) -> None:
        """Leave the terminal as it was."""


@contextmanager
def fleet_reporter(*, quiet: bool) -> Iterator[FleetReporter]:
    """Give the reporter of many nodes that fits standard error, and tidy it up afterwards."""
    chosen: ClosingFleetReporter
    if quiet:
        chosen = QuietFleetReporter()
    elif sys.stderr.isatty():
        from rich.console import Console

        chosen = LiveFleetReporter(Console(stderr=True, no_color=not colours_wanted(sys.stderr), highlight=False))
    else:
        chosen = PlainFleetReporter(sys.stderr)
    try:
        yield chosen
    finally:
        chosen.close()


def wave_text(title: str, nodes: Sequence[str]) -> str:
    """Given a wave, return its one line."""
    shown = ", ".join(nodes[:6]) + (f" and {len(nodes) - 6} more" if len(nodes) > 6 else "")
    return f"{title}: {shown}"


def end_text(node: str, outcome: str, message: str) -> str:
    """Given how it ended for a node, return its one line."""
    return one_line(f"{node}: {outcome.replace('-', ' ')}{': ' + message if message else ''}")


class QuietFleetReporter(QuietReporter):
    """Shows nothing."""

    def wave(self, title: str, nodes: Sequence[str]) -> None:
        """Show nothing."""

    def started(self, node: str) -> None:
        """Show nothing."""

    def ended(self, node: str, outcome: str, message: str, *, good: bool) -> None:
        """Show nothing."""


class PlainFleetReporter(PlainReporter):
    """One line for each wave, and one for each node when it has ended; what its agent does is not told."""

    def event(self, node: str, event: wire.Event) -> None:
        """Write only what has failed: many nodes do the same at the same time."""
        if event.state == "failed":
            super().event(node, event)

    def wave(self, title: str, nodes: Sequence[str]) -> None:
        """Write which nodes come next."""
        self._line(wave_text(title, nodes))

    def started(self, node: str) -> None:
        """Write nothing: the wave was named."""

    def ended(self, node: str, outcome: str, message: str, *, good: bool) -> None:
        """Write how it ended."""
        self._line(end_text(node, outcome, message) + ("" if good else " FAILED"))


class LiveFleetReporter(LiveReporter):
    """A moving line for each node at work, above them a line that stays for each that has ended."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._fleet_console = console
        self._turn = threading.Lock()
        self._lines: dict[str, TaskID] = {}
        self._board: Progress | None = None

    def event(self, node: str, event: wire.Event) -> None:
        """Show in the node's own line what its agent does."""
        with self._turn:
            self._write(node, event_text(node, event))

    def wave(self, title: str, nodes: Sequence[str]) -> None:
        """Show which nodes come next, as a line that stays."""
        from rich.text import Text

        super().close()
        with self._turn:
            self._shown().console.print(Text(wave_text(title, nodes), "bold"))

    def started(self, node: str) -> None:
        """Give the node a line."""
        with self._turn:
            self._lines[node] = self._shown().add_task("", known=False)
            self._write(node, f"{node}: connecting")

    def ended(self, node: str, outcome: str, message: str, *, good: bool) -> None:
        """Take the node's line away and leave one that says how it ended."""
        from rich.text import Text

        with self._turn:
            board = self._shown()
            line = self._lines.pop(node, None)
            if line is not None:
                board.remove_task(line)
                board.refresh()
            mark = Text("✓ ", "green") if good else Text("✗ ", "red")
            board.console.print(mark + Text(end_text(node, outcome, message)))

    def close(self) -> None:
        """Take all moving lines away."""
        super().close()
        with self._turn:
            if self._board is not None:
                self._board.stop()
                self._board = None

    def _write(self, node: str, text: str) -> None:
        from rich.markup import escape

        line = self._lines.get(node)
        if line is not None:
            self._shown().update(line, description=escape(text))

    def _shown(self) -> Progress:
        if self._board is None:
            self._board = new_display(self._fleet_console)
            self._board.start()
        return self._board
