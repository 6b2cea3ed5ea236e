"""The way to a machine by SSH, over a real sshd: as root and as a user with sudo, and everything that can go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from machine.library.command import send
from machine.library.image import Image
from machine.library.session import Machines
from machine.small import FILE, NEVER_GREEN, UNIT, Small, slow_check, small
from machine.way import INSPECT, Way, reached
from obstack.agent import wire
from obstack.edges.ssh_channel import SshChannel
from obstack.errors import Unreachable

pytestmark = pytest.mark.machine

AGENTS = "/var/lib/observability/agent"


@pytest.fixture(scope="module")
def way(machines: Machines, sudo_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with reached(machines, sudo_image, tmp_path_factory.mktemp("way")) as way:
        yield way


def wait_for(event: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not event():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)


def current(way: Way) -> str:
    return way.machine.run("basename $(readlink /var/lib/observability/current)").stdout.strip()


def step(way: Way, name: str) -> Callable[[], bool]:
    way.events.clear()
    return lambda: any(event.step == name for event in way.events)


def outcome(way: Way) -> str | None:
    last: str | None = way.ask(INSPECT).data["transactions"][0]["outcome"]
    return last


# ---------------------------------------------------------------------------------------------- the plain way


def test_the_agent_is_sent_once_and_what_was_asked_for_is_done(way: Way) -> None:
    first, second = small("one"), small("two")
    assert way.apply(first).outcome == "committed"
    kept = way.machine.succeed(f"ls -1 {AGENTS}").stdout.split()
    folder = next(name for name in kept if len(name) == 64)
    assert sorted(kept) == sorted([folder, f"{folder}.pyz", "agent.pyz"])
    inode = way.machine.succeed(["stat", "--format=%i %Z", f"{AGENTS}/{folder}"]).stdout
    assert way.apply(second).outcome == "committed"
    assert way.machine.succeed(["cat", FILE]).stdout == "two"
    assert way.apply(second).outcome == "unchanged"
    assert way.machine.succeed(["stat", "--format=%i %Z", f"{AGENTS}/{folder}"]).stdout == inode


def test_a_damaged_agent_on_the_machine_is_replaced(way: Way) -> None:
    way.ask(INSPECT)
    source = way.machine.succeed(f"ls {AGENTS}/*/obstack/agent/lock.py").stdout.strip()
    way.machine.succeed(f"echo 'raise SystemExit(1)' > {source}")
    assert way.ask(INSPECT).outcome == "ok"
    assert "SystemExit(1)" not in way.machine.succeed(["cat", source]).stdout


def test_a_user_with_sudo_does_the_same_as_root(way: Way) -> None:
    way.machine.succeed(f"rm -rf {AGENTS}")
    generation = small("by sudo")
    assert way.apply(generation, "admin").outcome == "committed"
    assert way.apply(generation, "admin").outcome == "unchanged"
    assert way.machine.succeed(["stat", "--format=%U", FILE, f"{AGENTS}/agent.pyz"]).stdout == "root\nroot\n"


def test_what_a_login_shell_prints_is_passed_over(way: Way) -> None:
    way.machine.write("/root/.bashrc", "echo Welcome; echo; echo '[1]'\n")
    try:
        assert way.ask(INSPECT).outcome == "ok"
    finally:
        way.machine.succeed("rm /root/.bashrc")


def test_an_uninstall_removes_the_agent_that_does_it(way: Way) -> None:
    way.apply(small("to be removed"))
    assert way.ask(wire.Request("uninstall", {"purge": True})).fault is None
    way.machine.fail("test -e /var/lib/observability")
    assert way.apply(small("there again")).outcome == "committed"


# ------------------------------------------------------------------------------------------- what can go wrong


@pytest.mark.security
def test_an_unknown_host_key_is_not_accepted(way: Way) -> None:
    way.known.write_text("")
    try:
        error = way.unreachable(way.channel())
    finally:
        way.introduce()
    assert (error.code, error.exit_code) == ("ssh-host-key-unknown", 6)
    assert "Host key verification failed" in str(error.detail)
    assert error.do.startswith("ssh -i ")


@pytest.mark.security
def test_a_changed_host_key_is_not_accepted(way: Way) -> None:
    other = way.key.with_suffix(".pub").read_text()
    way.known.write_text(f"{way.machine.address} {other}")
    try:
        error = way.unreachable(way.channel(options=["HostKeyAlgorithms=ssh-ed25519"]))
    finally:
        way.introduce()
    assert error.code == "ssh-host-key-changed"
    assert f"ssh-keygen -R {way.machine.address}" in error.do


def test_a_login_that_is_refused_is_named(way: Way) -> None:
    error = way.unreachable(way.channel("nobody-here"))
    assert (error.code, error.exit_code) == ("ssh-permission-denied", 6)
    assert "ssh-copy-id" in error.do
    assert "Permission denied" in str(error.detail)


def test_a_port_that_refuses_is_named(way: Way) -> None:
    error = way.unreachable(way.channel(port=23))
    assert error.code == "ssh-refused"
    assert "-p 23" in error.do


def test_a_machine_that_does_not_answer_is_given_up(way: Way) -> None:
    way.machine.network_cut()
    try:
        error = way.unreachable(way.channel(options=["ConnectTimeout=1"]))
    finally:
        way.machine.network_restore()
    assert error.code == "ssh-timed-out"


def test_a_sudo_that_wants_a_password_is_named(way: Way) -> None:
    error = way.unreachable(way.channel("guest"))
    assert error.code == "sudo-refused"
    assert "NOPASSWD" in error.do
    assert "password" in str(error.detail)


def test_a_machine_without_python_is_told_so(way: Way) -> None:
    way.machine.succeed("mv /usr/bin/python3 /usr/bin/python3.away")
    try:
        error = way.unreachable(way.channel())
    finally:
        way.machine.succeed("mv /usr/bin/python3.away /usr/bin/python3")
    assert error.code == "python-missing"
    assert "install python3" in error.do


def test_an_agent_that_dies_is_told_and_leaves_a_machine_that_the_next_command_puts_right(way: Way) -> None:
    before, generation = small("before the crash"), small("the crash")
    way.apply(before)
    channel = way.channel(environment={"OBSERVABILITY_CRASH_AT": "flip"})
    with pytest.raises(Unreachable) as caught:
        channel.ask(generation.request, generation.contents, way.events.append)
    assert caught.value.code == "agent-died"
    assert outcome(way) == "rolled-back"
    assert current(way) == before.manifest.identity


# ------------------------------------------------------------------------------- lost connections, interruptions


def in_background(way: Way, generation: Small, user: str = "root") -> tuple[SshChannel, list[object], threading.Thread]:
    """Apply in a thread; the list gets the reply or the error."""
    channel, results = way.channel(user), list[object]()

    def apply() -> None:
        try:
            results.append(channel.ask(generation.request, generation.contents, way.events.append))
        except Unreachable as error:
            results.append(error)

    thread = threading.Thread(target=apply)
    thread.start()
    return channel, results, thread


@pytest.mark.parametrize("user", ["root", "admin"])
def test_a_network_that_goes_away_in_the_middle_does_not_stop_the_agent(way: Way, user: str) -> None:
    generation = small(f"cut for {user}", checks=[slow_check(4)])
    checking = step(way, "check")
    _, results, thread = in_background(way, generation, user)
    wait_for(checking, "the check")
    way.machine.network_cut()
    thread.join(60)
    way.machine.network_restore()
    (error,) = results
    assert isinstance(error, Unreachable)
    assert error.code == "connection-lost"
    assert "goes on by itself" in str(error.state)
    assert "observability status --host web-1" in error.do
    wait_for(lambda: current(way) == generation.manifest.identity, "the new generation")
    wait_for(lambda: outcome(way) == "committed", "the commit")


@pytest.mark.parametrize("user", ["root", "admin"])
def test_an_ssh_that_is_killed_does_not_stop_the_agent(way: Way, user: str) -> None:
    generation = small(f"killed for {user}", checks=[slow_check(2)])
    checking = step(way, "check")
    _, results, thread = in_background(way, generation, user)
    wait_for(checking, "the check")
    found = subprocess.run(["pgrep", "--parent", str(os.getpid()), "--exact", "ssh"], capture_output=True, text=True)
    for pid in found.stdout.split():
        send(int(pid), signal.SIGKILL)
    thread.join(30)
    (error,) = results
    assert isinstance(error, Unreachable)
    assert error.code == "connection-lost"
    wait_for(lambda: outcome(way) == "committed", "the commit")
    assert current(way) == generation.manifest.identity


@pytest.mark.parametrize("user", ["root", "admin"])
def test_an_interruption_before_the_switch_abandons_and_after_it_goes_back(way: Way, user: str) -> None:
    before = small("before the interruption")
    way.apply(before)
    for name, generation, ended in (
        ("check", small("interrupted early", checks=[slow_check(2)]), "abandoned"),
        ("gate", small("interrupted late", gates=[NEVER_GREEN]), "rolled-back"),
    ):
        reached = step(way, name)
        channel, results, thread = in_background(way, generation, user)
        wait_for(reached, name)
        began = time.monotonic()
        channel.interrupt()
        thread.join(30)
        assert time.monotonic() - began < 15
        (reply,) = results
        assert isinstance(reply, wire.Reply)
        assert reply.fault is not None
        assert reply.fault.exit_code == 130
        assert outcome(way) == ended
        assert current(way) == before.manifest.identity
        assert way.machine.unit_property(UNIT, "ActiveState") == "active"


def test_an_interruption_that_came_before_the_agent_was_there_is_not_lost(way: Way) -> None:
    way.machine.succeed(f"rm -rf {AGENTS}")
    generation = small("never begun", checks=[slow_check(2)])
    channel = way.channel()
    channel.interrupt()
    reply = channel.ask(generation.request, generation.contents, way.events.append)
    assert reply.fault is not None
    assert reply.fault.exit_code == 130
