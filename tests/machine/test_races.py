"""Several at once on one machine: controllers, versions of the agent, the boot, package upgrades, a swapped link."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import obstack
from machine.audit_log import AGENT
from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.small import FILE, UNIT, Small, slow_check, small
from machine.way import INSPECT, Way, reached
from obstack.agent import wire
from obstack.edges.certbot import INSTALL

pytestmark = [pytest.mark.machine, pytest.mark.security]

STATE = "/var/lib/observability"
LOCK = f"{STATE}/lock"
AGENTS = f"{STATE}/agent"
VICTIM = "/srv/victim"
GO = "/run/go"
UNTIL_GO = wire.CheckEntry("until-go", ("/bin/sh", "-c", f"until test -e {GO}; do sleep 0.05; done"))
"""A product's checker that is not through before a test lets it."""

HOLD = """import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(300)"""

OTHER_CONTROLLER = """
import sys
from dataclasses import replace
from pathlib import Path
from machine.small import small
from obstack.edges.ssh_channel import SshChannel
from obstack.model.host import Host

folder = Path(sys.argv[2])
options = [f"UserKnownHostsFile={folder}/known_hosts", "IdentitiesOnly=yes"]
ssh = {"destination": f"root@{sys.argv[1]}", "identity": f"{folder}/key", "options": options}
host = Host.model_validate({"address": sys.argv[1], "ssh": ssh})
generation = small(sys.argv[3])
request = replace(generation.request, wait_s=60)
reply = SshChannel("web-1", host, folder / "cache").ask(request, generation.contents, lambda _: None)
print(reply.outcome, reply.fault)
"""


@pytest.fixture(scope="module")
def way(machines: Machines, sudo_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with reached(machines, sudo_image, tmp_path_factory.mktemp("way")) as way:
        assert way.apply(small("first")).outcome == "committed"
        yield way


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of a controller whose agent is another one."""
    folder = tmp_path_factory.mktemp("newer")
    shutil.copytree(Path(obstack.__file__).parent, folder / "obstack", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "obstack/agent/__init__.py").open("a") as stream:
        stream.write('VERSION = "another"\n')
    return folder


def apply_newer(way: Way, source: Path, text: str) -> subprocess.Popen[str]:
    """Start a controller of another version, with its own cache, that applies a small generation."""
    folder = source.parent / f"newer-{text.replace(' ', '-')}"
    folder.mkdir()
    for name in ("key", "known_hosts"):
        shutil.copy2(way.folder / name, folder / name)
    tests = str(Path(__file__).parents[1])
    argv = [sys.executable, "-c", OTHER_CONTROLLER, way.machine.address, str(folder), text]
    environment = {"PYTHONPATH": f"{source}:{tests}", "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)


def apply_waiting(way: Way, generation: Small) -> wire.Reply:
    return way.ask(replace(generation.request, wait_s=60), generation.contents)


def wait_for(event: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not event():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)


def loaders(machine: Machine) -> int:
    """Return how many agents run on the machine."""
    return int(machine.succeed("pgrep --full --count 'python3 -I' || true").stdout)


def assert_whole(way: Way) -> None:
    reply = way.ask(INSPECT)
    assert reply.fault is None, reply.fault
    assert reply.drift == (), reply.drift


# ------------------------------------------------------------------------------------- controllers and their agents


def test_controllers_that_bring_the_same_agent_at_once_all_find_it(way: Way) -> None:
    for _ in range(2):
        way.machine.succeed(f"rm -rf {AGENTS}")
        with ThreadPoolExecutor(5) as pool:
            replies = list(pool.map(lambda _: way.ask(INSPECT), range(5)))
        assert [reply.fault for reply in replies] == [None] * 5
    assert way.apply(small("after all came")).outcome == "committed"


def test_agents_of_two_versions_and_the_boot_recovery_wait_for_each_other_and_none_is_taken_away(
    way: Way, newer: Path
) -> None:
    machine = way.machine
    assert apply_newer(way, newer, "by the newer").communicate(timeout=120)[0].startswith("committed")
    assert way.apply(small("by the older")).outcome == "committed"
    holder = machine.start(["flock", "--close", LOCK, "sleep", "300"])
    wait_for(lambda: machine.run(["flock", "--nonblock", LOCK, "true"]).code == 1, "the lock")
    with ThreadPoolExecutor(1) as pool:
        boot = machine.start(["python3", "-I", AGENT, "boot-recover"])
        other = apply_newer(way, newer, "two at once")
        older = pool.submit(apply_waiting, way, small("two at once, the older"))
        wait_for(lambda: loaders(machine) >= 3, "three agents")
        holder.kill()
        assert older.result(timeout=120).fault is None
        assert other.communicate(timeout=120)[0].startswith("committed None")
        ended = boot.wait(90)
    assert (ended.code, ended.stdout) == (0, "nothing to recover\n"), ended
    assert_whole(way)
    # What nobody runs from any more goes with the next change of the agent.
    assert way.apply(small("the older again")).outcome == "committed"
    assert apply_newer(way, newer, "the last").communicate(timeout=120)[0].startswith("committed")
    assert len(machine.succeed(f"ls -d {AGENTS}/*.pyz").stdout.split()) == 2


def test_two_runs_at_once_are_both_entered_in_the_audit_log(way: Way) -> None:
    runs = f"ls {STATE}/transactions | wc -l; wc -l < {STATE}/audit.jsonl"
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda number: apply_waiting(way, small(f"both {number}")), range(4)))
    assert [reply.outcome for reply in replies] == ["committed"] * 4
    folders, entries = way.machine.succeed(runs).stdout.split()
    assert folders == entries
    heads = {reply.audit for reply in replies}
    assert len(heads) == 4


def test_the_boot_recovery_waits_for_a_run_and_then_finds_nothing_to_do(way: Way) -> None:
    way.machine.succeed(["rm", "-f", GO])
    way.events.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(way.apply, small("while it boots", checks=(UNTIL_GO,)))
        wait_for(lambda: any(event.step == "check" for event in way.events), "the check")
        boot = way.machine.start(["python3", "-I", AGENT, "boot-recover"])
        wait_for(lambda: loaders(way.machine) >= 2, "the recovery")
        way.machine.succeed(["touch", GO])
        ended = boot.wait(60)
        assert running.result(timeout=60).outcome == "committed"
    assert (ended.code, ended.stdout) == (0, "nothing to recover\n"), ended
    assert_whole(way)


# ----------------------------------------------------------------------------------------------- package upgrades


def test_an_account_is_made_when_a_package_that_makes_one_is_through(way: Way) -> None:
    machine = way.machine
    user = wire.UserEntry("example-account")
    generation = small("with an account")
    with_user = replace(generation.manifest, users=(user,))
    holder = machine.start(["python3", "-c", HOLD, "/etc/.pwd.lock"])
    wait_for(lambda: "held" in holder.so_far().stdout, "the lock of accounts")
    way.events.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(way.ask, wire.Request("apply", manifest=with_user), generation.contents)
        wait_for(lambda: any("changes the machine's accounts" in event.message for event in way.events), "the wait")
        assert machine.run(["id", user.name]).code != 0
        holder.kill()
        assert running.result(timeout=60).outcome == "committed"
    machine.succeed(["id", user.name])


def test_a_package_is_installed_when_another_package_manager_is_through(way: Way) -> None:
    machine = way.machine
    holder = machine.start(["python3", "-c", HOLD, "/var/lib/dpkg/lock-frontend"])
    wait_for(lambda: "held" in holder.so_far().stdout, "the lock of packages")
    installing = machine.start(list(INSTALL))
    wait_for(lambda: "lock" in installing.so_far().stdout + installing.so_far().stderr, "what it waits for")
    assert not installing.finished
    holder.kill()
    ended = installing.wait(60)
    assert "Could not get lock" not in ended.stderr
    assert "Failed to fetch" in ended.stderr, "it went on; a machine of the tests has no way to the packages"


def test_a_service_that_an_upgrade_restarts_in_the_midst_of_a_run_does_not_break_it(way: Way) -> None:
    generation = small("restarted by another", checks=(slow_check(1),))

    def upgrade() -> None:
        for _ in range(5):
            way.machine.succeed(f"systemctl daemon-reload; systemctl try-restart {UNIT}; sleep 0.5")

    with ThreadPoolExecutor(1) as pool:
        upgrading = pool.submit(upgrade)
        reply = way.apply(generation)
        upgrading.result(timeout=60)
    assert reply.outcome == "committed", reply.fault
    assert_whole(way)
    assert way.apply(small("after the upgrade")).outcome == "committed"


# ----------------------------------------------------------------------------------------------- links swapped


SWAPS = {
    "the unit file becomes a link": f"rm /etc/systemd/system/{UNIT}.service; "
    f"ln -s {VICTIM}/file /etc/systemd/system/{UNIT}.service",
    "the directory of configuration becomes a link elsewhere": f"rm /etc/{UNIT}; ln -s {VICTIM} /etc/{UNIT}",
    "the directory of configuration becomes a directory": f"rm /etc/{UNIT}; cp -r {VICTIM} /etc/{UNIT}",
    "the wish for the boot becomes a link elsewhere": "cd /etc/systemd/system/multi-user.target.wants; "
    f"rm {UNIT}.service; ln -s {VICTIM}/file {UNIT}.service",
    "the generation in force becomes a folder elsewhere": f"ln -sfn {VICTIM} {STATE}/current",
    "the file that is put in place is there as a link": f"ln -s {VICTIM}/file /etc/systemd/system/.new-{UNIT}.service; "
    f"ln -s {VICTIM} {STATE}/.new-current",
    "the folder of generations becomes a link elsewhere": f"mv {STATE}/generations {STATE}/generations.moved; "
    f"ln -s {VICTIM} {STATE}/generations",
    "the state folder becomes a link elsewhere": f"mv {STATE} {STATE}.moved; ln -s {VICTIM} {STATE}",
    "the ledger becomes a link": f"mv {STATE}/ledger.json {VICTIM}.ledger; ln -s {VICTIM}.ledger {STATE}/ledger.json",
}


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_a_swap_between_staging_and_switch_ends_in_a_refusal_or_in_our_own_state(way: Way, swap: str) -> None:
    machine = way.machine
    after = small(f"after {swap}", checks=(UNTIL_GO,))
    machine.succeed(f"rm -f {GO}; mkdir -p {VICTIM}; echo of-somebody-else > {VICTIM}/file; chmod 600 {VICTIM}/file")
    kept = machine.succeed(f"find {VICTIM} -printf '%p %y %m %u %s %T@\\n'; cat {VICTIM}/file").stdout
    way.events.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(way.apply, after)
        wait_for(lambda: any(event.step == "check" for event in way.events), "the check")
        machine.succeed(f"{swap}; touch {GO}")
        reply = running.result(timeout=90)
    assert machine.succeed(f"find {VICTIM} -printf '%p %y %m %u %s %T@\\n'; cat {VICTIM}/file").stdout == kept
    if reply.outcome == "committed":
        assert machine.succeed(["cat", FILE]).stdout == f"after {swap}"
        assert_whole(way)
    else:
        assert reply.fault is not None and reply.fault.exit_code in (3, 4), reply
        machine.succeed(f"test -L /etc/{UNIT} || rm -rf /etc/{UNIT}")
        # What a person would do, told by the error: the agent makes nothing of its own out of what is somebody else's.
        for place in (STATE, f"{STATE}/generations"):
            machine.succeed(f"test ! -e {place}.moved || (rm {place} && mv {place}.moved {place})")
    machine.succeed(f"rm -rf {VICTIM}")
    healed = way.apply(small(f"healed {swap[:20]}"))
    assert healed.fault is None, healed.fault
    assert_whole(way)
