"""Two runs at once, interruptions, and a controller that goes away: one writer, and always a whole machine."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest

from machine.library.command import CommandFailed, Running
from machine.server import Server
from machine.witness import Witness, assert_no_gap

pytestmark = pytest.mark.machine

LOCK = "/var/lib/observability/lock"
DOOMED = {
    "prometheus": {"targets": [{"job": "shop", "addresses": ["127.0.0.1:9999"]}]},
    "gates": {"deadline": "12s"},
}
"""A change that stays in its gate until the deadline, because nobody answers at its target."""

IN_THE_GATE = " gates …"
"""What the program shows when the switch is done and the gates begin."""

PAUSE = "/run/systemd/system/observability-recover.service.d/pause.conf"
SLOW_VERIFY = '#!/bin/sh\nsleep 3\nexec /usr/bin/systemd-analyze "$@"\n'


@pytest.fixture(autouse=True)
def configured(server: Server) -> Iterator[None]:
    """Each test begins and ends with the tests' own configuration in force."""
    server.configure()
    server.apply()
    yield
    server.configure()


def await_line(running: Running, text: str, timeout_s: float = 60) -> None:
    """Return when the running program has shown this text. Raises CommandFailed when it ends without, or in time."""
    deadline = time.monotonic() + timeout_s
    while text not in running.so_far().stderr:
        if running.finished or time.monotonic() > deadline:
            raise CommandFailed(f"{text!r} was not shown", running.so_far())
        time.sleep(0.02)


def begin(server: Server) -> Running:
    """Start a change and return when it is in its gate, where it will be for 12 s."""
    server.configure(**DOOMED)
    running = server.start("apply", "--yes")
    await_line(running, IN_THE_GATE)
    server.configure()
    return running


def holder(server: Server) -> int:
    """Return the process that holds the lock, as the lock's file names it."""
    return int(server.machine.succeed(["cat", LOCK]).json()["pid"])


def await_free(server: Server) -> None:
    """Return when nobody holds the lock any more."""
    server.machine.succeed(["flock", "--timeout", "60", LOCK, "true"], timeout_s=70)


def last_run(server: Server) -> list[str]:
    """Return the steps of the newest run."""
    newest = "cat $(ls -d /var/lib/observability/transactions/* | tail -n 1)/record.jsonl"
    return [json.loads(line)["entry"]["step"] for line in server.machine.succeed(newest).stdout.splitlines()]


def test_a_second_run_is_told_who_holds_the_lock_or_waits_for_it(server: Server) -> None:
    before = Witness.of(server)
    first = begin(server)
    pid = holder(server)

    refused = server.exits(5, "apply", "--yes")
    assert f"error[lock-held] Another run holds the lock: apply by root, process {pid}, since 20" in refused.stderr
    assert "state: nothing was changed" in refused.stderr
    document = server.document("apply", "--yes", "--wait", "0.5", code=5)
    assert document["error"]["code"] == "lock-held"
    assert "after waiting 0.5 s" in document["error"]["what"]

    shown = server.succeed("status").stdout
    assert "under way" in shown, "reading does not need the lock"
    assert before.generation[:12] not in shown.partition("Last runs")[0]
    assert not first.finished

    waited = server.exits(0, "apply", "--yes", "--wait", "90")
    assert first.so_far().code == 3, "the first had ended by then"
    assert "nothing to do" in waited.stdout
    assert server.current() == before.generation


def test_an_apply_while_the_boot_recovery_works_is_refused_or_waits_and_finishes_its_work(server: Server) -> None:
    before, since = Witness.of(server), time.time()
    first = begin(server)
    server.machine.succeed(["kill", "-KILL", str(holder(server))])
    died = first.wait()
    assert died.code == 6
    assert "error[agent-died] The agent was killed by SIGKILL" in died.stderr
    assert "observability recover" in died.stderr

    server.machine.write(PAUSE, "[Service]\nEnvironment=OBSERVABILITY_PAUSE_AT=flip\n")
    server.machine.succeed("systemctl daemon-reload; systemctl start --no-block observability-recover")
    server.machine.wait_until_succeeds(f"grep -q boot {LOCK}")
    refused = server.exits(5, "apply", "--yes")
    assert f"recover by boot, process {holder(server)}, since 20" in refused.stderr

    waiting = server.start("apply", "--yes", "--wait", "60")
    await_line(waiting, "Rendering")
    server.machine.succeed(["systemctl", "kill", "--signal=KILL", "observability-recover"])
    result = waiting.wait()
    server.machine.succeed(f"rm {PAUSE}; systemctl daemon-reload; systemctl reset-failed observability-recover")
    assert result.code == 0, result
    assert "recover: " in result.stderr
    assert server.current() == before.generation
    assert server.pids() == before.pids
    assert_no_gap(server, since)


def test_control_c_before_the_switch_changes_nothing(server: Server) -> None:
    before = Witness.of(server)
    server.configure(prometheus={"external_labels": {"region": "eu"}})
    server.machine.write("/usr/local/bin/systemd-analyze", SLOW_VERIFY, 0o755)
    running = server.start("apply", "--yes")
    await_line(running, "mon-1: check: ")
    running.signal(signal.SIGINT)
    result = running.wait()
    server.machine.succeed(["rm", "/usr/local/bin/systemd-analyze"])

    assert result.code == 130, result
    assert "error[interrupted] The run was interrupted." in result.stderr
    assert "state: nothing was changed" in result.stderr
    assert Witness.of(server) == before
    assert last_run(server)[-1] == "abandoned"
    assert server.apply()["outcome"] == "committed"


def test_control_c_during_the_gate_goes_back(server: Server) -> None:
    before, since = Witness.of(server), time.time()
    running = begin(server)
    running.signal(signal.SIGINT)
    running.signal(signal.SIGINT)
    result = running.wait()

    assert result.code == 130, result
    assert "error[interrupted] The run was interrupted." in result.stderr
    assert f"state: rolled back to generation {before.generation[:12]}, its gates are green" in result.stderr
    assert server.current() == before.generation
    assert server.pids() == before.pids
    assert last_run(server)[-1] == "rolled-back"
    assert_no_gap(server, since)


@pytest.mark.parametrize("doomed", [False, True], ids=["a good change", "a bad change"])
def test_the_agent_ends_its_run_by_itself_when_the_controller_dies(server: Server, doomed: bool) -> None:
    before, since = Witness.of(server), time.time()
    if doomed:
        running = begin(server)
    else:
        server.configure(blackbox={"port": 9116})
        running = server.start("apply", "--yes")
        await_line(running, IN_THE_GATE)
    running.signal(signal.SIGKILL)
    running.wait()
    assert last_run(server)[-1] == "acting", "the agent is still at it"
    await_free(server)

    assert last_run(server)[-1] == ("rolled-back" if doomed else "committed")
    assert (server.current() == before.generation) is doomed
    assert before.moved(server) <= {"blackbox-exporter"}
    server.succeed("health")
    assert_no_gap(server, since, jobs=frozenset({"prometheus", "alertmanager", "node-exporter"}))
