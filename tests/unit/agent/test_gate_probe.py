from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path

import pytest

from obstack.agent import gate_alertmanager, gate_prometheus
from obstack.agent.gate import PROBES
from obstack.agent.gate_probe import EVIDENCE_LIMIT, bounded, is_stopped, judge_state, reason_of
from obstack.agent.services import UnitState

STEADY = UnitState("web", "active", "running", pid=10, restarts=3, started_monotonic_s=5.0)


def other(**changes: object) -> UnitState:
    return dataclasses.replace(STEADY, **changes)  # type: ignore[arg-type]


def test_a_steady_unit_is_in_no_trouble_however_often_it_restarted_before() -> None:
    assert judge_state(STEADY, STEADY, None) == ""
    assert judge_state(STEADY, STEADY, time.time()) == ""


def test_failure_restart_and_a_new_process_are_trouble() -> None:
    assert "failed" in judge_state(other(active="failed"), STEADY, None)
    assert "auto-restart" in judge_state(other(active="activating", sub="auto-restart"), STEADY, None)
    assert "was restarted 1 times" in judge_state(other(restarts=4), STEADY, None)
    assert "process 10 became 11" in judge_state(other(pid=11), STEADY, None)


def test_a_restart_that_somebody_asked_for_is_no_death_where_the_manager_counts_its_own() -> None:
    counting = other(counts=True)
    assert judge_state(dataclasses.replace(counting, pid=11), counting, None) == ""
    assert "was restarted 1 times" in judge_state(dataclasses.replace(counting, pid=11, restarts=4), counting, None)


def test_a_restart_between_the_act_and_the_first_look_is_trouble() -> None:
    acted = time.time() - 2
    late = other(restarts=1, started_monotonic_s=time.monotonic() - 1)
    assert "died after it was acted on" in judge_state(late, late, acted)
    early = other(restarts=1, started_monotonic_s=time.monotonic() - 3)
    assert judge_state(early, early, acted) == ""


def test_one_look_at_a_stopped_unit_is_not_enough() -> None:
    idle = other(active="inactive")
    assert not is_stopped(idle, STEADY)
    assert is_stopped(idle, idle)


def test_evidence_is_bounded_and_keeps_its_end() -> None:
    text = bounded("a" * 100_000 + "the end")
    assert len(text) < EVIDENCE_LIMIT + 100
    assert text.endswith("the end")
    assert bounded("short") == "short"


def test_reasons_are_plain_words() -> None:
    assert reason_of(ConnectionRefusedError(111, "Connection refused")) == "connection refused"
    assert reason_of(TimeoutError()) == "no answer in time"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T00:00:00.5Z", 1767225600.5),
        ("2026-01-01T02:00:00.123456789+02:00", 1767225600.123456789),
        ("not a time", 0.0),
    ],
)
def test_times_as_go_writes_them(text: str, seconds: float) -> None:
    assert gate_prometheus.parse_time(text) == pytest.approx(seconds, abs=1e-6)


def test_the_time_before_any_scrape_is_long_ago() -> None:
    assert gate_prometheus.parse_time("0001-01-01T00:00:00Z") < 0


def test_alertmanager_names_a_configuration_by_six_bytes_of_its_sum() -> None:
    # MD5 of nothing begins d4 1d 8c d9 8f 00.
    assert gate_alertmanager.configuration_hash(b"") == float(0x008FD98C1DD4)


def test_every_kind_of_gate_is_in_the_reference() -> None:
    reference = (Path(__file__).parents[3] / "docs/reference/gates.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", reference, re.MULTILINE)) == {"units-active", *PROBES}
