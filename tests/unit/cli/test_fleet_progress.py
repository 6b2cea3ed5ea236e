"""Progress of many nodes: a line that stays for each wave and each node that ended, and no more."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from obstack.agent.wire import Event
from obstack.cli.fleet_progress import (
    LiveFleetReporter,
    PlainFleetReporter,
    QuietFleetReporter,
    end_text,
    fleet_reporter,
    wave_text,
)
from obstack.ports import FleetReporter


def go(reporter: FleetReporter) -> None:
    """Report a small run."""
    reporter.wave("batch 1 of 2", ["web-1", "web-2"])
    for node in ("web-1", "web-2"):
        reporter.started(node)
        reporter.event(node, Event("stage", "started"))
    reporter.event("web-2", Event("gate", "failed", "exporter [red]: no answer\x1b[2J"))
    reporter.ended("web-1", "committed", "", good=True)
    reporter.ended("web-2", "rolled-back", "Gate 'exporter' stayed red.", good=False)


def test_elsewhere_than_on_a_terminal_a_node_has_one_line_and_its_failures() -> None:
    stream = io.StringIO()
    go(PlainFleetReporter(stream))
    assert stream.getvalue().splitlines() == [
        "batch 1 of 2: web-1, web-2",
        "web-2: gate: exporter [red]: no answer\\x1b[2J FAILED",
        "web-1: committed",
        "web-2: rolled back: Gate 'exporter' stayed red. FAILED",
    ]


def test_on_a_terminal_what_ended_stays_above_what_moves() -> None:
    stream = io.StringIO()
    reporter = LiveFleetReporter(Console(file=stream, width=100, force_terminal=False))
    reporter.step("Rendering")
    go(reporter)
    reporter.close()
    kept = [line.rstrip() for line in stream.getvalue().splitlines() if line.startswith(("✓", "✗", "batch"))]
    assert kept == [
        "batch 1 of 2: web-1, web-2",
        "✓ web-1: committed",
        "✗ web-2: rolled back: Gate 'exporter' stayed red.",
    ]


def test_many_threads_may_report_at_once() -> None:
    stream = io.StringIO()
    reporter = LiveFleetReporter(Console(file=stream, width=100, force_terminal=True))
    names = [f"web-{number}" for number in range(8)]

    def work(node: str) -> None:
        reporter.started(node)
        for step in range(20):
            reporter.event(node, Event("stage", "progress", str(step)))
        reporter.ended(node, "committed", "", good=True)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reporter.close()
    assert all(f"{name}: committed" in stream.getvalue() for name in names)


def test_quiet_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    go(QuietFleetReporter())
    with fleet_reporter(quiet=True) as reporter:
        go(reporter)
    assert capfd.readouterr() == ("", "")


def test_long_waves_are_cut_and_ends_are_one_line() -> None:
    assert wave_text("hosts", [f"web-{number}" for number in range(9)]).endswith("web-5 and 3 more")
    assert end_text("web-1", "rolled-back", "a\nb") == "web-1: rolled back: a b"
