from __future__ import annotations

import time

import pytest

from obstack.agent import supervisor, systemd
from obstack.agent.services import UnitState, describe

SHOWN = """\
ActiveState=active
SubState=running
MainPID=4711
NRestarts=2
UnitFileState=enabled
Result=success
ExecMainStartTimestampMonotonic=1500000"""


def test_systemd_shows_a_running_unit() -> None:
    state = systemd.parse_state("prometheus", SHOWN)
    assert state == UnitState("prometheus", "active", "running", 4711, 2, True, "success", 1.5, counts=True)
    assert state.running
    assert not state.broken


def test_a_unit_that_does_not_exist_is_inactive() -> None:
    shown = "ActiveState=inactive\nSubState=dead\nMainPID=0\nNRestarts=0\nUnitFileState=\nResult=success"
    state = systemd.parse_state("absent", shown)
    assert (state.active, state.pid, state.enabled, state.started_monotonic_s) == ("inactive", 0, False, None)


@pytest.mark.parametrize("sub", ["auto-restart", "auto-restart-queued"])
def test_waiting_for_an_automatic_restart_is_broken(sub: str) -> None:
    assert UnitState("a", "activating", sub).broken
    assert UnitState("a", "failed", "failed").broken
    assert not UnitState("a", "activating", "start").broken


def test_a_word_that_is_not_known_is_unknown() -> None:
    assert systemd.parse_state("a", "ActiveState=maintenance").active == "unknown"


def test_a_state_is_told_in_words() -> None:
    assert describe(UnitState("a", "failed", "failed", result="exit-code")) == "failed (exit-code)"
    assert describe(UnitState("a", "active", "running", result="success")) == "active (running)"
    assert describe(UnitState("a", "inactive", "", result="success")) == "inactive"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("/s/v/nginx.service:4: Unknown key name 'ProtectNew' in section 'Service', ignoring.", False),
        ("/s/v/nginx.service:4: Unknown key 'ProtectNew' in section [Service], ignoring.", False),
        ("/s/v/nginx.service:9: Invalid memory limit 'abc', ignoring: Invalid argument", True),
        ("nginx.service: Command /no/such/program is not executable: No such file or directory", True),
        ("nginx.service: Unit configuration has fatal error, unit will not be started.", True),
        ("Unit nginx.service has a bad unit file setting.", True),
        ("/usr/lib/systemd/system/cron.service:3: Failed to parse anything", False),
        ("cron.service: Command /usr/sbin/cron is not executable: No such file or directory", False),
    ],
)
def test_complaints_count_when_they_are_about_our_units_and_no_newer_key(line: str, kept: bool) -> None:
    found = systemd.parse_verify(f"{line}\n", "/s/v", ["nginx.service"])
    assert found == ([line.replace("/s/v/", "")] if kept else [])


def info(word: str, pid: int = 0, exitstatus: int = 0) -> dict[str, object]:
    return {
        "name": "web",
        "statename": word,
        "pid": pid,
        "exitstatus": exitstatus,
        "spawnerr": "",
        "start": 1000,
        "now": 1010,
    }


@pytest.mark.parametrize(
    ("word", "exitstatus", "active", "broken"),
    [
        ("RUNNING", 0, "active", False),
        ("STARTING", 0, "activating", False),
        ("BACKOFF", 1, "activating", True),
        ("STOPPING", 0, "deactivating", False),
        ("STOPPED", 0, "inactive", False),
        ("EXITED", 0, "inactive", False),
        ("EXITED", 3, "failed", True),
        ("FATAL", 1, "failed", True),
        ("UNKNOWN", 0, "unknown", False),
    ],
)
def test_supervisor_words_become_states(word: str, exitstatus: int, active: str, broken: bool) -> None:
    state = supervisor.parse_state(info(word, exitstatus=exitstatus), True)
    assert (state.active, state.broken) == (active, broken)


def test_supervisor_tells_when_a_program_started() -> None:
    state = supervisor.parse_state(info("RUNNING", pid=7), True)
    assert state.started_monotonic_s is not None
    assert abs(time.monotonic() - state.started_monotonic_s - 10) < 1
