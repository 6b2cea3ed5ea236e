"""The supervisor manager against a real supervisord with small real programs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.probes.stack import Supervised
from obstack.agent import wire
from obstack.agent.services import ServiceFailure
from obstack.agent.supervisor import Supervisor

pytestmark = pytest.mark.contract

FOREVER = ["/bin/sh", "-c", "echo up; exec sleep 1000"]


def wait_until(what: Callable[[], bool]) -> None:
    """Return when it is so: supervisord and the programs take their time on a busy machine."""
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_is_started_stopped_and_restarted(supervised: Supervised) -> None:
    manager = supervised.manager
    unit = supervised.define("plain", FOREVER, startsecs="1")
    assert manager.states([unit])["plain"].active == "inactive"
    manager.start(unit)
    first = manager.states([unit])["plain"]
    assert first.running and first.pid and first.enabled
    assert first.started_monotonic_s is not None
    assert abs(time.monotonic() - first.started_monotonic_s) < 5
    manager.start(unit)
    assert manager.states([unit])["plain"].pid == first.pid
    manager.restart(unit)
    assert manager.states([unit])["plain"].pid not in (0, first.pid)
    manager.stop(unit)
    manager.stop(unit)
    assert manager.states([unit])["plain"].active == "inactive"


def test_a_restart_takes_the_definition_that_is_there_now(supervised: Supervised) -> None:
    unit = supervised.define("changing", ["/bin/sh", "-c", "echo first; exec sleep 1000"])
    supervised.manager.start(unit)
    wait_until(lambda: supervised.manager.log(unit).splitlines() == ["first"])
    supervised.define("changing", ["/bin/sh", "-c", "echo second; exec sleep 1000"])
    supervised.manager.restart(unit)
    wait_until(lambda: supervised.manager.log(unit).splitlines() == ["first", "second"])


def test_reading_definitions_again_touches_no_running_program(supervised: Supervised) -> None:
    unit = supervised.define("steady", FOREVER)
    supervised.manager.start(unit)
    before = supervised.manager.states([unit])["steady"].pid
    supervised.define("steady", [*FOREVER, "other"])
    supervised.define("another", FOREVER)
    assert supervised.manager.states([unit])["steady"].pid == before


def test_a_program_whose_definition_is_gone_is_stopped_and_forgotten(supervised: Supervised) -> None:
    manager = supervised.manager
    unit = supervised.define("leaving", FOREVER)
    manager.start(unit)
    Path(manager.definition_path(unit)).unlink()
    manager.reload_definitions()
    manager.stop(unit)
    state = manager.states([unit])["leaving"]
    assert (state.active, state.enabled) == ("inactive", False)
    supervised.define("leaving", FOREVER)
    manager.start(unit)
    assert manager.states([unit])["leaving"].running


def test_a_program_that_cannot_start_fails_with_its_log(supervised: Supervised) -> None:
    unit = supervised.define("broken", ["/bin/sh", "-c", "echo no such file; exit 2"], startsecs="1", startretries="0")
    with pytest.raises(ServiceFailure) as caught:
        supervised.manager.start(unit)
    assert caught.value.unit == "broken"
    assert "no such file" in caught.value.detail
    wait_until(lambda: supervised.manager.states([unit])["broken"].broken)


def test_a_program_that_dies_again_and_again_is_seen_as_broken(supervised: Supervised) -> None:
    command = ["/bin/sh", "-c", "sleep 0.2; exit 1"]
    unit = supervised.define("looping", command, startsecs="5", startretries="20", autorestart="true")
    with pytest.raises(ServiceFailure):
        supervised.manager.start(unit)
    supervised.manager.stop(unit)
    assert supervised.manager.states([unit])["looping"].active == "inactive"


def test_reload_by_signal_keeps_the_process(supervised: Supervised) -> None:
    script = 'trap "echo reloaded" HUP; echo ready; while :; do sleep 0.1; done'
    unit = supervised.define("listening", ["/bin/sh", "-c", script])
    unit = wire.UnitEntry(unit.name, unit.file, reload=wire.ReloadEntry("signal", "HUP"))
    supervised.manager.start(unit)
    wait_until(lambda: "ready" in supervised.manager.log(unit))
    before = supervised.manager.states([unit])["listening"].pid
    supervised.manager.reload(unit)
    wait_until(lambda: "reloaded" in supervised.manager.log(unit))
    assert supervised.manager.states([unit])["listening"].pid == before


def test_a_reload_that_is_refused_or_impossible_says_so(supervised: Supervised) -> None:
    unit = supervised.define("idle", FOREVER)
    unit = wire.UnitEntry(unit.name, unit.file, reload=wire.ReloadEntry("http", "http://127.0.0.1:9/-/reload"))
    with pytest.raises(ServiceFailure, match="cannot reload: it is inactive"):
        supervised.manager.reload(unit)
    supervised.manager.start(unit)
    with pytest.raises(ServiceFailure, match="could not be asked to reload"):
        supervised.manager.reload(unit)


def test_without_supervisord_every_request_says_what_to_do(tmp_path: Path) -> None:
    manager = Supervisor(str(tmp_path))
    unit = wire.UnitEntry("plain", "units/plain.conf")
    with pytest.raises(ServiceFailure, match="supervisord is not running"):
        manager.states([unit])
    with pytest.raises(ServiceFailure, match="supervisord is not running"):
        manager.stop(unit)


def test_a_dead_supervisord_is_recognised_by_its_orphaned_socket(supervised: Supervised) -> None:
    supervised.process.kill()
    supervised.process.wait()
    assert os.path.exists(supervised.manager.socket_path)
    with pytest.raises(ServiceFailure, match="supervisord is not running"):
        supervised.manager.states([])


def test_a_socket_too_deep_for_the_kernel_is_reached_through_its_folder(supervised: Supervised) -> None:
    deep = supervised.root / ("deep" * 30)
    deep.mkdir()
    (deep / "run").symlink_to(supervised.root / "run")
    assert len(f"{deep}/run/supervisor.sock") > 108
    assert Supervisor(str(deep)).states([]) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[program:other]\ncommand=/bin/true\n", "No section: 'program:checked'"),
        ("[program:checked]\n", "No option 'command'"),
        ("[program:checked]\ncommand=true\n", "does not begin with an absolute path"),
        ("[program:checked]\ncommand=/no/such/program\n", "/no/such/program is not an executable file"),
        ("[program:checked]\ncommand=/bin\n", "is not an executable file"),
        ("[program:checked]\ncommand=/bin/true\n[supervisord]\nuser=root\n", "not program:checked alone"),
        ("command=/bin/true\n", "no section headers"),
        ('[program:checked]\ncommand=/bin/sh -c "exit\n', "No closing quotation"),
    ],
)
def test_a_definition_that_supervisord_could_not_use_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "units").mkdir()
    (tmp_path / "units/checked.conf").write_text(text)
    unit = wire.UnitEntry("checked", "units/checked.conf")
    (found,) = Supervisor("/nowhere").verify([unit], str(tmp_path), "/nowhere/current", str(tmp_path))
    assert problem in found


def test_a_good_definition_is_judged_by_the_staged_program(tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    program = tmp_path / "artifacts/daemon"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "units/checked.conf").write_text("[program:checked]\ncommand=/x/current/artifacts/daemon --a=%%b\n")
    unit = wire.UnitEntry("checked", "units/checked.conf")
    assert Supervisor("/x").verify([unit], str(tmp_path), "/x/current", str(tmp_path)) == []
