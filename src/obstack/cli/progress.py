"""Progress on standard error: a live display on a terminal, plain lines elsewhere, nothing with `--quiet`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from obstack.agent import wire
from obstack.cli.output import colours_wanted, one_line
from obstack.ports import Reporter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

PLAIN_INTERVAL_S: Final = 5.0


class ClosingReporter(Reporter, Protocol):
    """A reporter that has a display to tidy up."""

    def close(self) -> None:
        """Leave the terminal as it was."""


@contextmanager
def reporter(*, quiet: bool) -> Iterator[Reporter]:
    """Give the reporter that fits standard error, and tidy it up afterwards."""
    chosen: ClosingReporter
    if quiet:
        chosen = QuietReporter()
    elif sys.stderr.isatty():
        from rich.console import Console

        chosen = LiveReporter(Console(stderr=True, no_color=not colours_wanted(sys.stderr), highlight=False))
    else:
        chosen = PlainReporter(sys.stderr)
    try:
        yield chosen
    finally:
        chosen.close()


def event_text(node: str, event: wire.Event) -> str:
    """Given an event of a node's agent, return its one line."""
    return one_line(f"{node}: {event.step}{': ' + event.message if event.message else ''}")


def counted(event: wire.Event, name: str) -> int:
    """Given an event and the name of a number in its data, return the number; 0 when there is none, or something else.

    The event may come from a machine that was broken into.
    """
    number = event.data.get(name)
    return number if isinstance(number, int) else 0


class QuietReporter:
    """Shows nothing."""

    def event(self, node: str, event: wire.Event) -> None:
        """Show nothing."""

    def step(self, message: str) -> None:
        """Show nothing."""

    def progress(self, message: str, done: int, total: int) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing is to be tidied up."""


class PlainReporter:
    """One line for each thing that happens; long work says how far it is every few seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told = 0.0

    def event(self, node: str, event: wire.Event) -> None:
        """Write the event, unless it only repeats that something goes on."""
        if event.state != "progress":
            mark = {"started": "…", "done": "ok", "failed": "FAILED"}.get(event.state) or one_line(event.state)
            self._line(f"{event_text(node, event)} {mark}")

    def step(self, message: str) -> None:
        """Write what is being done."""
        self._line(f"{one_line(message)} …")

    def progress(self, message: str, done: int, total: int) -> None:
        """Write how far it is, at most every few seconds, and when it has ended."""
        now = time.monotonic()
        if total and (done >= total or now - self._told >= PLAIN_INTERVAL_S):
            self._told = now
            self._line(f"{one_line(message)}: {done * 100 // total} %")

    def close(self) -> None:
        """Nothing is to be tidied up."""

    def _line(self, text: str) -> None:
        # The terminal that started this may be gone; the run must not end because of that.
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except OSError:
            pass


class LiveReporter:
    """One moving line for what is being done, above it a line for each thing that ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._display: Progress | None = None
        self._task: TaskID | None = None

    def event(self, node: str, event: wire.Event) -> None:
        """Show the event: an end as a line that stays, anything else as the moving line."""
        text = event_text(node, event)
        if event.state == "done":
            self._stay("✓", "green", text)
        elif event.state == "failed":
            self._stay("✗", "red", text)
        else:
            self._move(text, counted(event, "done"), counted(event, "total"))

    def step(self, message: str) -> None:
        """Show what is being done as the moving line."""
        self._move(one_line(message), 0, 0)

    def progress(self, message: str, done: int, total: int) -> None:
        """Show how far it is in the moving line."""
        self._move(one_line(message), done, total)

    def close(self) -> None:
        """Take the moving line away."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _stay(self, mark: str, colour: str, text: str) -> None:
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(Text(mark, colour), Text(text))
        self._started().console.print(line)

    def _move(self, text: str, done: int, total: int) -> None:
        from rich.markup import escape

        display = self._started()
        if self._task is None:
            self._task = display.add_task("", known=False)
        display.update(self._task, description=escape(text), completed=done, total=total or 1, known=total > 0)

    def _started(self) -> Progress:
        if self._display is None:
            self._display = new_display(self._console)
            self._display.start()
        return self._display


def new_display(console: Console) -> Progress:
    """Given a console, return a display whose bar is there only while it is known how much there is to do."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress_bar import ProgressBar

    class KnownBar(BarColumn):
        def render(self, task: Task) -> ProgressBar:
            return super().render(task) if task.fields["known"] else ProgressBar(width=0, total=1)

    columns = (SpinnerColumn(), TextColumn("{task.description}"), KnownBar(bar_width=24), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
