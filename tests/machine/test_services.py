"""The agent's view of real units, under a real systemd: states, acts, verification, gates, logs and facts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import obstack.agent
from machine.library.machine import Machine

pytestmark = pytest.mark.machine

PRELUDE = """
import json, sys, time
sys.path.insert(0, "/opt/probes")
from obstack.agent import facts, logs, wire
from obstack.agent.gate import GateContext, run_gates
from obstack.agent.services import ServiceFailure
from obstack.agent.systemd import Systemd

manager = Systemd()

def unit(name, reload=None, file=None, **options):
    file = f"units/{name}.service" if file is None else file
    return wire.UnitEntry(name, file, reload=reload, start_timeout_s=5, stop_timeout_s=5, **options)

def attempt(act, *arguments):
    try:
        act(*arguments)
    except ServiceFailure as failure:
        return {"unit": failure.unit, "what": failure.what, "detail": failure.detail}
    return None

def gates(kinds, units, acted=None):
    entries = [wire.GateEntry(kind, kind, units[0].name, params, 10, True) for kind, params in kinds]
    manifest = wire.Manifest("web-1", "observability", "systemd", units=tuple(units))
    return run_gates(entries, GateContext("", "/tree", manifest, manager, acted or {}, True))
"""


@pytest.fixture(scope="module", autouse=True)
def agent(machine: Machine) -> Iterator[None]:
    """The agent's package in the machine."""
    machine.succeed(["mkdir", "-p", "/opt/probes/obstack"])
    machine.push(Path(obstack.agent.__file__).parent, "/opt/probes/obstack/agent")
    yield


def ask(machine: Machine, expression: str, before: str = "") -> Any:
    """Return what the expression of the agent's words is worth in the machine."""
    source = f"{PRELUDE}\n{before}\nprint(json.dumps(wire.encode({expression})))"
    return json.loads(machine.succeed(["python3", "-I", "-B", "-c", source], timeout_s=60).stdout)


def install(machine: Machine, name: str, service: str) -> None:
    machine.run(["systemctl", "stop", name])
    machine.write(f"/etc/systemd/system/{name}.service", f"[Service]\n{service}\n")
    machine.succeed("systemctl reset-failed; systemctl daemon-reload")


def test_all_states_come_from_one_request(machine: Machine) -> None:
    install(machine, "steady", "ExecStart=/bin/sleep 1000")
    machine.succeed(["systemctl", "start", "steady"])
    machine.write(
        "/usr/local/bin/systemctl", '#!/bin/sh\necho "$@" >> /tmp/calls\nexec /usr/bin/systemctl "$@"\n', 0o755
    )
    machine.succeed("rm -f /tmp/calls")
    units = '[unit("steady"), unit("absent"), unit("systemd-journald", file="")]'
    states = ask(machine, f"manager.states({units})", before="import os; os.environ['PATH']='/usr/local/bin:/usr/bin'")
    calls = machine.succeed("cat /tmp/calls; rm /tmp/calls /usr/local/bin/systemctl").stdout.splitlines()
    assert len(calls) == 1
    assert states["steady"]["active"] == "active"
    assert states["steady"]["pid"] == machine.main_pid("steady")
    assert states["absent"] | {"name": ""} == states["absent"] | {"name": "", "active": "inactive", "pid": 0}
    assert states["systemd-journald"]["active"] == "active"
    uptime = float(machine.succeed(["cat", "/proc/uptime"]).stdout.split()[0])
    assert 0 < states["steady"]["started_monotonic_s"] <= uptime + time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_unit_is_started_restarted_and_stopped(machine: Machine) -> None:
    install(machine, "plain", "ExecStart=/bin/sleep 1000")
    assert ask(machine, 'attempt(manager.start, unit("plain"))') is None
    first = machine.main_pid("plain")
    assert first
    assert ask(machine, 'attempt(manager.start, unit("plain"))') is None
    assert machine.main_pid("plain") == first
    assert ask(machine, 'attempt(manager.restart, unit("plain"))') is None
    assert machine.main_pid("plain") not in (0, first)
    assert ask(machine, 'attempt(manager.stop, unit("plain"))') is None
    assert machine.main_pid("plain") == 0
    assert ask(machine, 'attempt(manager.stop, unit("plain"))') is None


def test_stopping_a_unit_that_is_not_there_is_fine(machine: Machine) -> None:
    assert ask(machine, 'attempt(manager.stop, unit("absent"))') is None


def test_a_unit_that_cannot_start_fails_with_its_log(machine: Machine) -> None:
    install(machine, "broken", "Type=exec\nExecStartPre=/bin/sh -c 'echo line 7 is wrong; exit 1'\nExecStart=/bin/true")
    failure = ask(machine, 'attempt(manager.start, unit("broken"))')
    assert failure["unit"] == "broken"
    assert "failed (exit-code)" in failure["what"]
    assert "line 7 is wrong" in failure["detail"]


def test_units_that_are_started_together_all_start_and_the_one_that_does_not_is_named(machine: Machine) -> None:
    sleeps = "ExecStart=/bin/sleep 1000"
    for name, service in {"one": sleeps, "two": "Type=oneshot\nExecStart=/bin/false", "three": sleeps}.items():
        install(machine, f"joint-{name}", service)
    units = "[unit(f'joint-{name}') for name in ('one', 'two', 'three')]"
    failure = ask(machine, f"attempt(manager.start_all, {units})")
    assert failure["unit"] == "joint-two"
    assert "joint-two.service failed: the unit is failed" in failure["what"]
    pids = [machine.main_pid(f"joint-{name}") for name in ("one", "three")]
    assert all(pids)
    assert ask(machine, "attempt(manager.start_all, [unit('joint-one'), unit('joint-three')])") is None
    assert [machine.main_pid(f"joint-{name}") for name in ("one", "three")] == pids


def test_a_unit_that_dies_at_once_is_a_failed_start_and_not_waited_for(machine: Machine) -> None:
    install(
        machine,
        "dying",
        "Type=notify\nRestart=always\nRestartSec=30\nExecStart=/bin/sh -c 'echo out of memory; exit 9'",
    )
    began = time.monotonic()
    failure = ask(machine, 'attempt(manager.start, unit("dying"))')
    assert time.monotonic() - began < 5
    assert "out of memory" in failure["detail"]
    machine.succeed(["systemctl", "stop", "dying"])


def test_a_unit_over_its_start_limit_can_be_started_once_it_is_repaired(machine: Machine) -> None:
    install(machine, "repaired", "ExecStart=/bin/false")
    machine.run("for i in 1 2 3 4 5 6 7; do systemctl start repaired; done; sleep 0.5; systemctl start repaired")
    machine.write("/etc/systemd/system/repaired.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    machine.succeed(["systemctl", "daemon-reload"])
    assert ask(machine, 'attempt(manager.start, unit("repaired"))') is None


def test_reload_signals_the_main_process_alone_and_keeps_it(machine: Machine) -> None:
    script = "trap 'echo reloaded' HUP; echo ready; while :; do sleep 0.1; done"
    install(machine, "listening", f'ExecStart=/bin/sh -c "{script}"')
    machine.succeed(["systemctl", "start", "listening"])
    machine.wait_until_succeeds("journalctl -u listening | grep ready")
    before = machine.main_pid("listening")
    entry = 'unit("listening", wire.ReloadEntry("signal", "HUP"))'
    assert ask(machine, f"attempt(manager.reload, {entry})") is None
    machine.wait_until_succeeds("journalctl -u listening | grep reloaded")
    assert machine.main_pid("listening") == before
    machine.succeed(["systemctl", "stop", "listening"])
    assert "cannot reload: it is inactive" in ask(machine, f"attempt(manager.reload, {entry})")["what"]


def test_a_unit_of_the_system_is_restarted_but_never_started_or_stopped(machine: Machine) -> None:
    foreign = 'unit("systemd-journald", file="")'
    before = machine.main_pid("systemd-journald")
    for act in ("start", "stop"):
        assert "belongs to the system" in ask(machine, f"attempt(manager.{act}, {foreign})")["what"]
    assert ask(machine, f"attempt(manager.restart, {foreign})") is None
    assert machine.main_pid("systemd-journald") not in (0, before)
    assert ask(machine, f"manager.enable_link({foreign})") is None


def test_a_wants_link_of_ours_makes_the_unit_enabled_and_start_at_boot(machine: Machine) -> None:
    install(machine, "booted", "ExecStart=/bin/sleep 1000")
    path, target = ask(machine, 'manager.enable_link(unit("booted"))')
    machine.succeed(["ln", "-s", target, path])
    machine.succeed(["systemctl", "daemon-reload"])
    assert ask(machine, 'manager.states([unit("booted")])')["booted"]["enabled"]
    assert ask(machine, 'manager.definition_path(unit("booted"))') == "/etc/systemd/system/booted.service"


VERIFY = 'manager.verify([unit("judged")], "/tree", "/var/lib/observability/current", "/scratch")'


@pytest.mark.parametrize(
    ("service", "complaint"),
    [
        ("ExecStart=/no/such/program", "is not executable"),
        ("ExecStart=relative/program", "relative/program"),
        ("Type=nonsense\nExecStart=/bin/true", "nonsense"),
        ("MemoryMax=lots\nExecStart=/bin/true", "lots"),
        ("Description=nothing to do", "ExecStart="),
        ("[Service", "Invalid section header"),
        ("ExecStart=/var/lib/observability/current/no/such", "is not executable"),
    ],
)
def test_a_broken_unit_is_found_before_it_is_installed(machine: Machine, service: str, complaint: str) -> None:
    machine.succeed("rm -rf /scratch /tree; mkdir -p /scratch /tree/units")
    machine.write("/tree/units/judged.service", f"[Service]\n{service}\n")
    problems = ask(machine, VERIFY)
    assert complaint in "\n".join(problems)


def test_a_good_unit_passes_by_its_staged_program_with_newer_keys_absent_users_and_foreign_complaints(
    machine: Machine,
) -> None:
    machine.succeed("rm -rf /scratch /tree; mkdir -p /scratch /tree/units /tree/artifacts")
    machine.succeed("cp /bin/true /tree/artifacts/daemon")
    machine.write("/etc/systemd/system/foreign.service", "[Service]\nExecStart=/no/such/program\n")
    machine.write(
        "/tree/units/judged.service",
        "[Unit]\nWants=foreign.service missing.service\nAfter=foreign.service\n"
        "[Service]\nExecStart=/var/lib/observability/current/artifacts/daemon\nUser=nobody-yet\nProtectFuture=yes\n"
        "[Install]\nWantedBy=multi-user.target\n",
    )
    assert ask(machine, VERIFY) == []


def test_gates_see_a_unit_that_dies_after_a_moment(machine: Machine) -> None:
    install(
        machine, "shortlived", "Restart=always\nRestartSec=100ms\nExecStart=/bin/sh -c 'sleep 1; echo I die; exit 1'"
    )
    assert ask(machine, 'attempt(manager.start, unit("shortlived"))') is None
    began = time.monotonic()
    expression = 'gates([("units-active", {})], [unit("shortlived")], {"shortlived": time.time()})'
    (result,) = ask(machine, expression)
    assert time.monotonic() - began < 8
    assert not result["passed"]
    assert "shortlived" in result["message"]
    assert "I die" in result["evidence"]
    machine.succeed(["systemctl", "stop", "shortlived"])


def test_gates_are_red_at_once_for_a_unit_that_has_failed(machine: Machine) -> None:
    install(machine, "failing", "ExecStart=/bin/sh -c 'echo no luck; exit 1'")
    machine.run(["systemctl", "start", "failing"])
    machine.wait_until_succeeds("systemctl is-failed failing")
    kinds = '[("http", {"url": "http://127.0.0.1:9", "status": 200}), ("units-active", {})]'
    http, active = ask(machine, f'gates({kinds}, [unit("failing")])')
    assert not http["passed"]
    assert not active["passed"]
    assert http["seconds"] < 3
    assert "no luck" in http["evidence"]


def test_a_marked_line_comes_back_from_the_machines_own_journal(machine: Machine) -> None:
    install(machine, "steady", "ExecStart=/bin/sleep 1000")
    machine.succeed(["systemctl", "start", "steady"])
    params = '{"journalctl": ["/usr/bin/journalctl"], "environment": {}, "journal": "system", "endpoint": ""}'
    (result,) = ask(machine, f'gates([("log-line", {params})], [unit("steady")])')
    assert result["passed"], result


def test_logs_reads_the_units_lines_and_no_others(machine: Machine) -> None:
    install(machine, "talking", "ExecStart=/bin/sh -c 'echo GET /a; echo POST /b; exec sleep 1000'")
    machine.succeed(["systemctl", "start", "talking"])
    machine.wait_until_succeeds("journalctl -u talking | grep POST")
    query = 'logs.Query(["talking"], grep="GET|POST")'
    events = ask(machine, f"list(logs.read_logs(logs.Journal(), {query}, lambda: False))")
    assert [event["message"] for event in events] == ["GET /a", "POST /b"]
    assert {event["data"]["unit"] for event in events} == {"talking"}


def test_the_facts_of_a_server_are_all_known(machine: Machine, suite: str) -> None:
    machine.write("/etc/systemd/system/nginx.service", "[Service]\nExecStart=/bin/true\n")
    question = 'facts.Question("", "/var/lib/observability", units=["nginx"], packages=["systemd", "nginx"])'
    found = {fact["name"]: fact for fact in ask(machine, f"facts.gather({question})")}
    # There is no firewall on it.
    assert {name: fact["state"] for name, fact in found.items() if fact["state"] != "known"} == {"firewall": "absent"}
    assert found["os"]["value"]["codename"] == suite
    assert found["manager"]["value"] == "systemd"
    assert found["systemd"]["value"] >= 252
    assert list(found["packages"]["value"]) == ["systemd"]
    assert found["units"]["value"] == {"nginx": "/etc/systemd/system/nginx.service"}
    ssh = [listener for listener in found["listeners"]["value"] if listener["port"] == 22]
    assert {listener["unit"] for listener in ssh} <= {"ssh.service", "ssh.socket", "init.scope"}
