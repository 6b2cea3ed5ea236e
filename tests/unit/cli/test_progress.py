import io

from rich.console import Console

from obstack.agent.wire import Event
from obstack.cli.progress import LiveReporter, PlainReporter


def test_plain_lines_say_what_started_ended_and_failed() -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream)
    reporter.step("resolving artifacts")
    reporter.event("mon-1", Event("check", "started", "promtool check config"))
    reporter.event("mon-1", Event("check", "progress", "promtool check config"))
    reporter.event("mon-1", Event("check", "done", "promtool check config"))
    reporter.event("mon-1", Event("gate", "failed", "front-door: 502\x1b[2J"))
    assert stream.getvalue().splitlines() == [
        "resolving artifacts …",
        "mon-1: check: promtool check config …",
        "mon-1: check: promtool check config ok",
        "mon-1: gate: front-door: 502\\x1b[2J FAILED",
    ]


def test_plain_progress_is_throttled_but_its_end_is_told() -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream)
    for done in range(0, 101, 10):
        reporter.progress("downloading", done, 100)
    lines = stream.getvalue().splitlines()
    assert lines[-1] == "downloading: 100 %"
    assert len(lines) <= 3


def test_a_reader_that_has_gone_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    PlainReporter(Gone()).step("resolving artifacts")


def test_the_live_display_leaves_only_what_ended() -> None:
    stream = io.StringIO()
    reporter = LiveReporter(Console(file=stream, width=80, force_terminal=False))
    reporter.event("mon-1", Event("stage", "started"))
    reporter.progress("downloading [red]", 1, 4)
    reporter.event("mon-1", Event("stage", "done", "12 files"))
    reporter.event("mon-1", Event("gate", "failed", "front-door [bold]"))
    reporter.close()
    assert [line for line in stream.getvalue().splitlines() if line.startswith(("✓", "✗"))] == [
        "✓ mon-1: stage: 12 files",
        "✗ mon-1: gate: front-door [bold]",
    ]
