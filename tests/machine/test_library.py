"""The machines the other tests stand on: they boot, obey, die and are cleared away as the library says."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from machine.library.command import CommandFailed
from machine.library.control_group import ControlGroup
from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines, Session

pytestmark = pytest.mark.machine

LISTENS = "timeout 1 bash -c '</dev/tcp/web-{}/22'"
UNIT = "/etc/systemd/system/example.service"


def install_unit(machine: Machine, service: str) -> None:
    machine.run(["systemctl", "stop", "example"])
    machine.write(UNIT, f"[Service]\n{service}\n")
    machine.succeed("systemctl reset-failed; systemctl daemon-reload")


def test_it_boots_the_suite_with_systemd_and_no_failed_unit(machine: Machine, suite: str) -> None:
    assert f"VERSION_CODENAME={suite}\n" in machine.succeed(["cat", "/etc/os-release"]).stdout
    assert machine.succeed(["cat", "/proc/1/comm"]).stdout == "systemd\n"
    assert machine.succeed(["systemctl", "is-system-running"]).stdout == "running\n"
    assert machine.succeed(["hostname"]).stdout == "web-1\n"


def test_a_command_runs_as_asked(machine: Machine) -> None:
    machine.succeed("id admin || useradd --create-home admin")
    result = machine.run(
        'echo "$USER $HOME $PWD $GREETING"; id -un; cat; echo complaint >&2; exit 7',
        user="admin",
        directory="/usr",
        environment={"GREETING": "hello"},
        stdin=b"input\n",
    )
    assert result.stdout == "admin /home/admin /usr hello\nadmin\ninput\n"
    assert (result.stderr, result.code) == ("complaint\n", 7)
    assert machine.run("false | true").code == 1
    assert machine.run(["printf", "%s", "$HOME; exit 1"]).stdout == "$HOME; exit 1"
    assert machine.run(["printf", '{"a": [1]}']).json() == {"a": [1]}


def test_a_failed_assertion_shows_command_code_and_both_outputs(machine: Machine) -> None:
    with pytest.raises(CommandFailed) as succeeded:
        machine.succeed("echo out; echo err >&2; exit 3")
    with pytest.raises(CommandFailed) as failed:
        machine.fail("echo fine")
    for part in ("web-1: echo out; echo err >&2; exit 3", "exit code: 3", "\nout\n", "\nerr"):
        assert part in str(succeeded.value)
    assert "exit code: 0" in str(failed.value)
    assert machine.fail("exit 4").code == 4


def test_a_command_that_takes_too_long_is_killed_with_what_it_started(machine: Machine) -> None:
    with pytest.raises(CommandFailed, match=r"within 0\.5 s"):
        machine.run("echo begun; sleep 4242 & sleep 4242", timeout_s=0.5)
    machine.wait_until_succeeds("! pgrep -f 'sleep [4]242'", timeout_s=5)


def test_a_daemon_left_behind_does_not_hold_up_the_command(machine: Machine) -> None:
    begun = time.monotonic()
    machine.succeed("sleep 30 &")
    assert time.monotonic() - begun < 10
    machine.succeed("pkill -f 'sleep 30'")


def test_a_signal_reaches_the_command_itself(machine: Machine) -> None:
    running = machine.start("trap 'echo caught; exit 130' INT; echo ready; while :; do sleep 0.1; done")
    while "ready" not in running.so_far().stdout:
        time.sleep(0.05)
    running.signal(signal.SIGINT)
    result = running.wait(10)
    assert (result.code, result.stdout) == (130, "ready\ncaught\n")


def test_a_command_has_the_capabilities_of_process_one_and_cannot_set_the_clock(machine: Machine) -> None:
    bounds = machine.succeed("grep -h CapBnd /proc/1/status /proc/self/status").stdout.splitlines()
    assert bounds[0] == bounds[1]
    assert "not permitted" in machine.fail(["date", "--set", "2001-01-01"]).stderr


def test_waiting_for_a_unit_returns_when_it_is_active(machine: Machine) -> None:
    install_unit(machine, "Type=oneshot\nRemainAfterExit=yes\nExecStart=sleep 1")
    machine.succeed(["systemctl", "start", "--no-block", "example"])
    machine.wait_for_unit("example")
    assert machine.unit_property("example", "SubState") == "exited"
    assert machine.main_pid("ssh") > 1


def test_waiting_for_a_failed_unit_ends_at_once_and_shows_its_log(machine: Machine) -> None:
    install_unit(machine, "Type=oneshot\nExecStart=sh -c 'sleep 0.5; echo reason of the failure; exit 9'")
    machine.succeed(["systemctl", "start", "--no-block", "example"])
    begun = time.monotonic()
    with pytest.raises(CommandFailed, match="example has failed") as failed:
        machine.wait_for_unit("example")
    assert time.monotonic() - begun < 10
    assert "reason of the failure" in str(failed.value)


def test_waiting_for_a_unit_that_nothing_starts_ends_at_once(machine: Machine) -> None:
    install_unit(machine, "ExecStart=sleep 1000")
    for unit in ("example", "no-such-unit"):
        with pytest.raises(CommandFailed, match="nothing is going to start it"):
            machine.wait_for_unit(unit)


def test_waiting_for_a_unit_that_restarts_for_ever_ends_in_time(machine: Machine) -> None:
    install_unit(machine, "ExecStart=sh -c 'sleep 0.2; exit 1'\nRestart=always\nRestartSec=1000")
    machine.succeed(["systemctl", "start", "example"])
    machine.wait_until_succeeds("systemctl show -p SubState example | grep auto-restart", timeout_s=10)
    with pytest.raises(CommandFailed, match=r"activating \(auto-restart\) after 1 s"):
        machine.wait_for_unit("example", timeout_s=1)
    machine.succeed(["systemctl", "stop", "example"])


def test_files_travel_both_ways_also_while_it_is_off(machine: Machine, tmp_path: Path) -> None:
    source = tmp_path / "tree"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "tool").write_text("#!/bin/sh\necho ran\n")
    (source / "inner" / "tool").chmod(0o750)
    (source / "link").symlink_to("/nowhere")
    machine.push(source, "/opt/new/place")
    machine.push(source / "inner" / "tool", "/run/tool")  # /run is another file system inside than at the root
    assert machine.succeed("/opt/new/place/inner/tool; /run/tool").stdout == "ran\nran\n"
    assert machine.succeed("stat -c '%a %U' /opt/new/place/inner/tool").stdout == "750 root\n"
    machine.pull("/opt/new/place", tmp_path / "back")
    assert (tmp_path / "back/place/inner/tool").read_bytes() == (source / "inner/tool").read_bytes()
    assert (tmp_path / "back/place/link").readlink() == Path("/nowhere")
    machine.shutdown()
    assert not machine.running
    machine.write("/etc/motd", "written while off\n", 0o600)
    machine.boot()
    assert machine.succeed("cat /etc/motd; stat -c %a /etc/motd").stdout == "written while off\n600\n"


def test_a_reboot_stops_units_in_good_order_and_a_power_cut_does_not(machine: Machine) -> None:
    install_unit(machine, "ExecStart=sleep 1000\nExecStop=touch /var/stopped\n[Install]\nWantedBy=multi-user.target")
    machine.succeed("systemctl enable --now example && echo kept > /var/kept")
    boot = machine.succeed(["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    machine.power_cut()
    assert not machine.running
    machine.boot()
    machine.wait_for_unit("example")
    assert machine.succeed(["cat", "/var/kept"]).stdout == "kept\n"
    assert machine.succeed(["cat", "/proc/sys/kernel/random/boot_id"]).stdout != boot
    machine.fail(["test", "-e", "/var/stopped"])
    machine.reboot()
    machine.wait_for_unit("example")
    machine.succeed(["test", "-e", "/var/stopped"])


def test_a_machine_that_cannot_boot_shows_its_console(machines: Machines, minimal: Image) -> None:
    machine = machines.prepare(minimal, "mute-1")
    (machine.root / "usr/lib/systemd/systemd").unlink()
    with pytest.raises(CommandFailed, match="did not come up") as failed:
        machine.boot()
    assert "exit code: 1" in str(failed.value)
    with pytest.raises(CommandFailed, match="no process 1"):
        machine.run(["true"])
    machine.destroy()


def test_machines_reach_each_other_by_name_until_the_network_is_cut(machines: Machines, minimal: Image) -> None:
    first, second = machines.create_all(minimal, ["web-2", "web-3"])
    first.wait_until_succeeds(LISTENS.format(3), timeout_s=10)
    second.wait_until_succeeds(LISTENS.format(2), timeout_s=10)
    second.network_cut()
    first.fail(LISTENS.format(3))
    second.fail(LISTENS.format(2))
    assert second.succeed(["cat", "/sys/class/net/host0/carrier"]).stdout == "1\n"
    second.network_restore()
    first.wait_until_succeeds(LISTENS.format(3), timeout_s=10)
    first.destroy()
    second.destroy()


def test_each_machine_has_processes_and_control_groups_of_its_own(machines: Machines, minimal: Image) -> None:
    first, second = machines.create_all(minimal, ["web-4", "web-5"])
    assert first.processes and second.processes
    assert not first.processes & second.processes
    first.succeed("sleep 5151 &")
    first.succeed(["pgrep", "-f", "sleep 5151"])
    second.fail(["pgrep", "-f", "sleep 5151"])
    first.power_cut()
    assert not first.processes
    assert second.succeed(["systemctl", "is-system-running"]).stdout == "running\n"
    first.destroy()
    second.destroy()


DIES = """
import os, signal, sys
from pathlib import Path
from machine.library.image import Image
from machine.library.session import Session
session = Session()
session.open()
machine = session.machines().create(Image("minimal", "", tuple(map(Path, sys.argv[1:]))), "web-6")
print(session.identity, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_session_clears_away_what_a_killed_one_left_and_spares_the_living(
    session: Session, machine: Machine, minimal: Image
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", DIES, *map(str, minimal.layers)],
        check=False,
        text=True,
        capture_output=True,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    identity = killed.stdout.strip()
    left = ControlGroup(identity)
    bridge = Path(f"/sys/class/net/obs{identity}")
    assert left.processes() and bridge.exists()
    assert identity in Path("/proc/self/mounts").read_text()

    following = Session()
    following.open()
    following.close()

    assert not left.processes() and not bridge.exists()
    assert identity not in Path("/proc/self/mounts").read_text()
    for folder in (Path("/sys/fs/cgroup"), Path("/var/cache/observability-tests/sessions")):
        assert not list(folder.rglob(f"{identity}*"))
    assert machine.succeed(["systemctl", "is-system-running"]).stdout in ("running\n", "degraded\n")
