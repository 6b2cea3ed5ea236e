"""A host that nothing can reach is made what it must be by one file that is carried to it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from machine.library.command import Result
from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.monitored import Monitored, monitored

pytestmark = pytest.mark.machine

HOST = "far-1"
FILE = f"/root/{HOST}.bundle"


@pytest.fixture(scope="module")
def fleet(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> Iterator[Monitored]:
    """A server, and a host whose sshd is off and whose network leads nowhere."""
    made = monitored(machines, program_images, minimal_images, {HOST: "bookworm"})
    made.server.succeed("preflight", "--observability-vps", "--fix")
    made.describe(HOST, ssh=None)
    host = made.hosts[HOST]
    host.succeed("systemctl disable --now ssh.service ssh.socket")
    host.network_cut()
    yield made


def carried(fleet: Monitored) -> dict[str, Any]:
    """Make the bundle on the server and bring it to the host, as a stick would; return what the server says of it."""
    made: dict[str, Any] = fleet.document("host", "bundle", HOST, "-o", "/tmp/made.bundle")
    assert fleet.server.machine.succeed(["stat", "--format=%a", "/tmp/made.bundle"]).stdout == "600\n"
    content = fleet.server.machine.start(["cat", "/tmp/made.bundle"])
    content.wait()
    fleet.hosts[HOST].run(f"umask 077; cat > {FILE}", stdin=content.output())
    return made


def bundle(host: Machine, *arguments: str) -> Result:
    return host.run(["python3", FILE, *arguments], timeout_s=120)


def document(host: Machine, *arguments: str, code: int = 0) -> Any:
    result = bundle(host, *arguments, "--json")
    assert result.code == code, result
    return json.loads(result.stdout)


def test_a_bundle_does_the_same_transaction_as_ssh_would(fleet: Monitored) -> None:
    host, made = fleet.hosts[HOST], carried(fleet)
    verified = document(host, "verify")
    assert (verified["sha256"], verified["node"], verified["generation"]) == (made["sha256"], HOST, made["generation"])
    assert document(host, "show")["in_force"] is None
    host.fail("test -e /var/lib/observability")

    done = bundle(host, "apply")
    assert done.code == 0, done
    assert f"{HOST}: committed, generation {made['generation'][:12]} is in force" in done.stdout
    assert f"{HOST}: commit: " in done.stderr
    host.succeed("systemctl is-active node-exporter")
    host.succeed("test -x /var/lib/observability/agent/agent.pyz")

    before = fleet.traces(HOST)
    assert document(host, "apply")["outcome"] == "unchanged"
    assert fleet.traces(HOST) == before
    gates = document(host, "health")["gates"]
    assert gates
    assert all(gate["passed"] for gate in gates)


def test_a_next_bundle_shows_and_makes_the_difference_only(fleet: Monitored) -> None:
    host, pids = fleet.hosts[HOST], fleet.pids(HOST)
    fleet.describe(HOST, ssh=None, modules={"node": {"options": {"port": 9111}}})
    carried(fleet)
    shown = document(host, "show")
    acted = {unit["unit"] for unit in shown["units"] if unit["action"] != "none"}
    assert acted == {"node-exporter", "observability-firewall"}
    assert document(host, "apply")["outcome"] == "committed"
    after = fleet.pids(HOST)
    assert {unit for unit, pid in pids.items() if after.get(unit) != pid} == {"node-exporter.service"}


def test_a_damaged_file_touches_nothing(fleet: Monitored) -> None:
    host, before = fleet.hosts[HOST], fleet.traces(HOST)
    host.succeed(f"truncate --size=-100000 {FILE}")
    done = bundle(host, "apply")
    assert (done.code, done.stdout) == (2, "")
    assert "error[bundle-damaged]" in done.stderr
    assert fleet.traces(HOST) == before


def test_only_root_may(fleet: Monitored) -> None:
    host = fleet.hosts[HOST]
    carried(fleet)
    host.succeed(f"id guest || useradd --create-home guest; install -o guest -m 600 {FILE} /home/guest/bundle")
    refused = host.run(["python3", "/home/guest/bundle", "apply"], user="guest")
    assert refused.code == 2
    assert "sudo python3 /home/guest/bundle apply" in refused.stderr
    assert host.run(["python3", "/home/guest/bundle", "verify"], user="guest").code == 0


def test_a_crash_in_the_middle_is_put_right_by_the_next_run(fleet: Monitored) -> None:
    host, before = fleet.hosts[HOST], fleet.current(HOST)
    fleet.describe(HOST, ssh=None, modules={"node": {"options": {"port": 9112}}})
    made = carried(fleet)
    killed = host.start(["python3", FILE, "apply"], environment={"OBSERVABILITY_CRASH_AT": "flip"})
    assert killed.wait().code != 0
    assert document(host, "show")["generation"] == made["generation"]
    assert document(host, "apply")["previous"] == before
    assert fleet.current(HOST) == made["generation"]


def test_ctrl_c_leaves_the_host_as_it_was(fleet: Monitored) -> None:
    host, before = fleet.hosts[HOST], fleet.current(HOST)
    fleet.describe(HOST, ssh=None, modules={"node": {"options": {"port": 9113}}})
    carried(fleet)
    host.succeed("mkdir -p /run/systemd/system/node-exporter.service.d")
    slow = "[Service]\\nExecStartPre=/bin/sleep 5\\n"
    host.succeed(f"printf '{slow}' > /run/systemd/system/node-exporter.service.d/slow.conf; systemctl daemon-reload")
    running = host.start(["python3", FILE, "apply"])
    deadline = time.monotonic() + 30
    while "switch: " not in running.so_far().stderr:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.signal(signal.SIGINT)
    ended = running.wait(60)
    assert ended.code == 130, ended
    host.succeed("rm -r /run/systemd/system/node-exporter.service.d; systemctl daemon-reload")
    assert fleet.current(HOST) == before
    assert document(host, "health")["gates"]
