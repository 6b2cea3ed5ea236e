"""SIGKILL of the agent at every durable step, and the power cut, on a real server: the old or the new, always whole.

One machine goes through its life here, test by test: a first apply that dies, setup, changes that die, power cuts, and
an uninstall that dies. tests/crash does the same to small services of its own, and to the steps named in `SMALL`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Final

import pytest

from crash.test_crash import OF_THE_FIREWALL, names, steps_of_the_source
from machine.library.image import Image
from machine.library.session import Machines
from machine.server import FOLDER, SETTINGS, UNITS, Server
from obstack.agent import record

pytestmark = pytest.mark.machine

APPLY: Final = ("apply", "--yes")
STATE: Final = "/var/lib/observability"

PROVEN: Final = ("record-after-gated", "audit", "audit-entered", "record-before-committed", "record-after-committed")
"""From here on a change has been proven to work, and recovery goes forward."""

SMALL: Final = {
    # the way back of a change whose gate is red, and its snapshots
    *("snapshot", "restore-aside", "restore-place", "undo-restore", "record-before-snapshot", "record-after-snapshot"),
    *("record-before-restoring", "record-after-restoring", "mend-file"),
    "audit-cut",  # a line that a power cut tore
    # pruning
    *("discard-tree", "discard-artifact", "prune-blob", "prune-run", "prune-snapshot"),
    *(f"record-{side}-{entry}" for entry in ("pruning", "pruned") for side in ("before", "after")),
}
"""Steps off the paths taken here; tests/crash kills at them."""

passed: set[str] = set()


class Life:
    """The server with the change that is in force, by its turn: no two changes are ever the same."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.in_force = 0
        self.last = 0
        self.ways = cycle((("recover",), ("health",), APPLY, ("drift",)))

    def propose(self) -> int:
        """Write a configuration that restarts a unit, reloads another, adds a file and removes one; return its turn."""
        self.last += 1 if (self.last + 1 - self.in_force) % 2 else 2
        self.configure(self.last)
        return self.last

    def configure(self, turn: int) -> None:
        target = {"job": ("even", "odd")[turn % 2], "addresses": ["127.0.0.1:9093"]}
        labels = {"turn": f"turn-{turn}"}
        self.server.configure(
            prometheus={"scrape_interval": "1s", "targets": [target], "external_labels": labels},
            node_exporter={"port": node_port(turn)},
        )

    def recover(self) -> str:
        """Give one of the requests that recover first, each in its turn; return its name."""
        way = next(self.ways)
        self.server.document(*way)
        return way[0]


def node_port(turn: int) -> int:
    """The port of the node exporter in a turn."""
    return 9100 + turn % 2


@pytest.fixture(scope="module")
def life(machines: Machines, program_images: Mapping[str, Image]) -> Iterator[Life]:
    server = Server(machines.create(program_images["trixie"], "mon-1"))
    server.succeed("preflight", "--observability-vps", "--fix")
    life = Life(server)
    life.configure(0)
    yield life
    server.machine.destroy()


@pytest.fixture
def running(life: Life) -> Life:
    """The server with the stack running on it."""
    if not life.server.current():
        life.server.set_up()
        life.in_force = life.last
    return life


# ---------------------------------------------------------------------------------------------------- what is done


def kill(server: Server, point: str, *command: str) -> None:
    """Run a command whose agent dies at the point, and insist that it got there."""
    result = server.run(*command, environment={"OBSERVABILITY_CRASH_AT": point})
    assert (result.code, "was killed by SIGKILL" in result.stderr) == (6, True), f"{point} was not reached\n{result}"
    passed.update(names([point]))


def cut(server: Server, point: str, *command: str) -> None:
    """Run a command, take the power away when its agent is at the point, and switch the machine on again."""
    running = server.start(*command, environment={"OBSERVABILITY_PAUSE_AT": point})
    deadline = time.monotonic() + 90
    while f": {point} paused" not in running.so_far().stderr:
        assert not running.finished and time.monotonic() < deadline, f"{point} was not reached\n{running.so_far()}"
        time.sleep(0.05)
    server.machine.power_cut()
    passed.update(names([point]))
    server.machine.boot()


def trace(server: Server, *command: str) -> list[str]:
    """Run a command and return the points it passed, each once, in order."""
    server.machine.run("rm -f /root/trace")
    result = server.run(*command, environment={"OBSERVABILITY_CRASH_TRACE": "/root/trace"})
    assert result.code == 0, str(result)
    return list(dict.fromkeys(server.machine.succeed("cat /root/trace").stdout.split()))


# ---------------------------------------------------------------------------------------------------- what is seen

LOOK: Final = f"""
basename "$(readlink {STATE}/current)"
find {STATE} -name record.jsonl | sort | xargs -r tail -qn 1 | tail -n 1
echo --half made
find {STATE} /etc -name '*.partial' -o -name '.new-*' -o -name scratch -o -name reserve
"""
LOOK_AT_NOTHING: Final = f"""
find /etc -lname '*observability*'
systemctl --no-legend --plain --failed
systemctl --no-legend list-jobs
systemctl show --property=LoadState,Id {" ".join((*UNITS, "observability-recover"))} | grep -B1 -A1 LoadState=loaded
"""
ASK: Final = f"""
curl -sS --fail http://127.0.0.1:9090/api/v1/status/config; echo
curl -sS --fail http://127.0.0.1:9090/api/v1/targets; echo
curl -sS --cacert /etc/nginx/authority.pem --connect-to ::127.0.0.1: -o /dev/null -w '%{{http_code}}' \\
    --user "admin:$(cat {FOLDER}/config/secrets/admin-password)" https://{SETTINGS["domain"]}/prometheus/-/ready
"""


def assert_ended(server: Server, generation: str, *outcomes: str) -> None:
    """The generation is in force, the last run has come to one of these ends, and nothing is half made."""
    seen = server.machine.succeed(LOOK).stdout
    parts = re.fullmatch(r"(\S*)\n(?:(\{.*)\n)?--half made\n(.*)", seen, re.DOTALL)
    assert parts is not None, seen
    current, last, half = parts.groups()
    assert (current, half) == (generation, "")
    assert last is None or json.loads(last)["entry"]["step"] in (outcomes or record.TERMINAL)


def assert_whole(server: Server, generation: str, turn: int) -> None:
    """The generation is in force and nothing differs from it; the services answer, with the turn's configuration."""
    assert_ended(server, generation)
    drift = server.document("drift")
    assert (drift["generation"], drift["drift"]) == (generation, [])
    configuration, targets, front_door = server.machine.succeed(ASK).stdout.splitlines()
    assert f"turn: turn-{turn}" in configuration
    active = json.loads(targets)["data"]["activeTargets"]
    assert {target["health"] for target in active} == {"up"}
    assert f"http://127.0.0.1:{node_port(turn)}/metrics" in {target["scrapeUrl"] for target in active}
    assert front_door == "200"


def assert_nothing(server: Server, *outcomes: str) -> None:
    """No generation is in force, and nothing leads to one: no link, no unit, no job, no failure."""
    assert_ended(server, "", *outcomes)
    assert server.machine.run(LOOK_AT_NOTHING).stdout == ""


# ------------------------------------------------------------------------------------------------------- the tests


@pytest.mark.parametrize(
    "point", ["install-agent", "artifact", "ledger", "user", "directory", "outward-link", "outward-unit"]
)
def test_a_kill_in_the_first_apply_leaves_nothing(life: Life, point: str) -> None:
    kill(life.server, point, *APPLY)
    life.server.succeed("recover")
    assert_nothing(life.server)


@pytest.mark.parametrize("point", ["flipped", "acted-prometheus"])
def test_a_power_cut_in_the_first_apply_leaves_nothing(life: Life, point: str) -> None:
    cut(life.server, point, *APPLY)
    if point == "flipped":  # no unit of ours is there yet that could recover at boot
        life.server.succeed("recover")
    assert_nothing(life.server)
    assert life.server.document("status")["generation"] is None


def test_a_kill_at_every_step_of_a_change(running: Life) -> None:
    server = running.server
    running.in_force = running.propose()
    points = trace(server, *APPLY)
    assert {"blob", "tree-renamed", "flipped", "outward-unit", "acted-node-exporter", "act-prometheus"} <= set(points)
    untouched = points[: points.index("record-after-switching")]
    for point in points:
        old, pids = server.current(), server.pids()
        turn = running.propose()
        kill(server, point, *APPLY)
        way = running.recover()
        if point in PROVEN or way == "apply":
            assert server.current() != old, f"after a kill at {point} and {way}"
            running.in_force = turn
        try:
            if point in untouched and way != "apply":
                assert_ended(server, old)
                assert server.pids() == pids
            else:
                assert_whole(server, server.current() if running.in_force == turn else old, running.in_force)
        except AssertionError as error:
            raise AssertionError(f"after a kill at {point} and {way}: {error}") from error
    assert server.document("health")["healthy"] is True


RECOVERIES: Final = {
    "tree": ("record-before-abandoned", "record-after-abandoned"),
    "acted-prometheus": (
        *("record-before-rolling-back", "record-after-rolling-back", "act-node-exporter"),
        *("record-before-rolled-back", "record-after-rolled-back"),
    ),
}
"""Where a change dies, and where its recovery then dies again and again."""


@pytest.mark.parametrize("died_at", RECOVERIES)
def test_recovery_may_die_as_often_as_it_likes(running: Life, died_at: str) -> None:
    server, old = running.server, running.server.current()
    running.propose()
    kill(server, died_at, *APPLY)
    for point in RECOVERIES[died_at]:
        kill(server, point, "recover")
    server.document("recover")
    assert_whole(server, old, running.in_force)


@pytest.mark.parametrize("point", ["tree", "record-after-switching", "flipped", "act-prometheus", "record-after-gated"])
def test_a_machine_comes_up_whole_by_itself_after_a_power_cut(running: Life, point: str) -> None:
    server, old = running.server, running.server.current()
    turn, begun = running.propose(), time.time()
    cut(server, point, *APPLY)

    assert server.machine.unit_property("observability-recover", "ExecMainExitTimestampMonotonic") not in ("", "0")
    assert server.machine.unit_property("observability-recover", "Result") == "success"
    for unit in UNITS:
        server.machine.wait_for_unit(unit)
    if point in PROVEN:
        running.in_force = turn
    generation = server.current()
    assert (generation == old) is (point not in PROVEN)
    assert_ended(server, generation, {"tree": "abandoned", "record-after-gated": "committed"}.get(point, "rolled-back"))
    assert server.document("health")["healthy"] is True
    assert_whole(server, generation, running.in_force)
    assert server.prometheus(f"query?query=up%7Bjob=%22prometheus%22%7D&time={begun}")["result"], "metrics were lost"


def test_a_kill_of_the_recovery_at_boot(running: Life) -> None:
    server, old = running.server, running.server.current()
    running.propose()
    drop_in = "/etc/systemd/system/observability-recover.service.d"
    server.machine.succeed(f"mkdir {drop_in}")
    server.machine.write(f"{drop_in}/kill.conf", "[Service]\nEnvironment=OBSERVABILITY_CRASH_AT=queue-units\n")
    cut(server, "acted-node-exporter", *APPLY)
    assert server.machine.unit_property("observability-recover", "ExecMainStatus") == "9"
    passed.add("queue-units")
    server.machine.succeed(f"rm -r {drop_in}; systemctl daemon-reload; systemctl reset-failed")
    assert server.document("health")["healthy"] is True
    assert_whole(server, old, running.in_force)


def test_a_kill_in_an_uninstall_is_carried_on(running: Life) -> None:
    server, old = running.server, running.server.current()
    kill(server, "record-before-uninstalling", "uninstall", "--yes")
    server.succeed("recover")
    assert server.current() == old
    kill(server, "record-after-uninstalling", "uninstall", "--yes")
    for point in ("outward-remove", "uninstall-state"):
        kill(server, point, "recover")
    server.succeed("recover")
    assert_nothing(server, "committed")


def test_a_power_cut_in_an_uninstall_is_carried_on_at_boot(running: Life) -> None:
    cut(running.server, "outward-remove", "uninstall", "--yes")
    assert_nothing(running.server, "committed")


def test_a_kill_in_a_purge_is_carried_on(running: Life) -> None:
    server = running.server
    kill(server, "purge-data", "uninstall", "--purge", "--yes")
    kill(server, "purge-user", "recover")
    kill(server, "purge-state", "recover")
    server.succeed("uninstall", "--purge", "--yes")
    remains = "ls -d /var/lib/observability /var/lib/prometheus; grep -E 'prometheus|nginx' /etc/passwd; true"
    assert server.machine.succeed(remains).stdout == ""


def test_every_step_of_the_source_was_killed_at() -> None:
    assert passed, "this test judges what the others in this file have passed: run them all"
    assert set(steps_of_the_source()) - SMALL - OF_THE_FIREWALL - passed == set()
