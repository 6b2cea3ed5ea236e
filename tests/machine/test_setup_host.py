"""A host sets itself up with nothing but python3, ssh and the checkout."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from machine.library.command import Result, Running
from machine.library.image import Image
from machine.library.session import Machines
from machine.monitored import Monitored, monitored
from machine.server import CHECKOUT, FOLDER

pytestmark = pytest.mark.machine

HOST = "web-1"


@pytest.fixture(scope="module")
def fleet(machines: Machines, program_images: Mapping[str, Image], sudo_image: Image) -> Iterator[Monitored]:
    """A server that is set up and knows no host, and a machine whose users may log in there."""
    made = monitored(machines, program_images, {"trixie": sudo_image}, {HOST: "trixie"})
    made.forget(HOST)
    made.server.set_up()
    host, server = made.hosts[HOST], made.server.machine
    for name in ("scripts", "src"):
        host.push(CHECKOUT / name, f"{FOLDER}/{name}")
    server.wait_for_unit("ssh.service")
    for user, home in (("root", "/root"), ("admin", "/home/admin")):
        host.succeed(f"ssh-keygen -q -t ed25519 -N '' -f {home}/.ssh/id_ed25519")
        host.wait_until_succeeds(f"ssh-keyscan {server.address} >> {home}/.ssh/known_hosts", timeout_s=20)
        host.succeed(f"chown -R {user}: {home}/.ssh")
        public = host.succeed(["cat", f"{home}/.ssh/id_ed25519.pub"]).stdout
        server.run("install -d -m 700 /root/.ssh; cat >> /root/.ssh/authorized_keys", stdin=public.encode())
    yield made


def start(fleet: Monitored, *words: str, user: str = "root") -> Running:
    server = fleet.server.machine.address
    way = ["--ssh", f"root@{server}", "--server-program", f"{FOLDER}/observability"]
    argv = ["scripts/setup-monitored-host.sh", server, *way, *words]
    return fleet.hosts[HOST].start(argv, user=user, directory=FOLDER)


def join(fleet: Monitored, *words: str, user: str = "root") -> Result:
    return start(fleet, *words, user=user).wait(240)


def document(fleet: Monitored, *words: str, code: int = 0, user: str = "root") -> Any:
    result = join(fleet, *words, "--json", user=user)
    assert result.code == code, result
    return json.loads(result.stdout)


def test_without_a_confirmation_nothing_is_changed_here(fleet: Monitored) -> None:
    refused = join(fleet, user="admin")
    assert refused.code == 2, refused
    assert "error[confirmation-needed]" in refused.stderr
    assert "node-exporter: it is new" in refused.stderr
    fleet.hosts[HOST].fail("test -e /var/lib/observability/current")


def test_a_user_with_sudo_has_it_described_set_up_and_taken_in(fleet: Monitored) -> None:
    fleet.server.machine.succeed(f"rm {FOLDER}/config/hosts/{HOST}.yaml")
    result = document(fleet, "--yes", user="admin")
    assert (result["host"], result["address"], result["added"]) == (HOST, fleet.hosts[HOST].address, True)
    assert "suite" in result["detected"]
    assert result["host_result"]["outcome"] == "committed"
    assert "error" not in result["server_result"]
    described = fleet.server.machine.succeed(["cat", f"{FOLDER}/config/hosts/{HOST}.yaml"]).stdout
    assert "ssh: null\n" in described
    assert "suite: trixie\n" in described
    fleet.server.wait_for_series(f'up{{host="{HOST}"}} == 1')
    fleet.hosts[HOST].succeed("systemctl is-active node-exporter")
    fleet.hosts[HOST].fail("ls /tmp/observability-*")


def test_a_second_time_changes_nothing(fleet: Monitored) -> None:
    before = fleet.traces(HOST)
    result = document(fleet, "--yes")
    assert (result["added"], result["detected"]) == (False, [])
    assert result["host_result"]["outcome"] == "unchanged"
    assert fleet.traces(HOST) == before


def test_a_server_that_cannot_be_reached_or_has_no_program_is_named(fleet: Monitored) -> None:
    assert document(fleet, "--ssh", "nobody-here@127.0.0.1", code=6)["error"]["code"] == "server-unreachable"
    missing = document(fleet, "--server-program", "/srv/nothing-there", code=6)
    assert missing["error"]["code"] == "server-program-missing"
    assert "--server-program" in missing["error"]["do"]


def test_what_the_server_refuses_is_told_here(fleet: Monitored) -> None:
    refused = document(fleet, "--name", "Not A Name", "--yes", code=2)
    assert "on the server: " in refused["error"]["do"]


def test_an_interruption_in_the_middle_is_waited_for_until_the_host_is_as_before(fleet: Monitored) -> None:
    host, before = fleet.hosts[HOST], fleet.current(HOST)
    fleet.describe(HOST, ssh=None, modules={"node": {"options": {"port": 9113}}})
    drop_in = "/run/systemd/system/node-exporter.service.d"
    host.write(f"{drop_in}/slow.conf", "[Service]\nExecStartPre=/bin/sleep 5\n")
    host.succeed("systemctl daemon-reload")
    running = start(fleet, "--yes")
    deadline = time.monotonic() + 90
    while "switch: " not in running.so_far().stderr:
        assert time.monotonic() < deadline, running.so_far()
        time.sleep(0.05)
    running.signal(signal.SIGINT)
    ended = running.wait(60)
    assert ended.code == 130, ended
    assert "rolled back" in ended.stdout
    host.succeed(f"rm -r {drop_in}; systemctl daemon-reload")
    assert fleet.current(HOST) == before
