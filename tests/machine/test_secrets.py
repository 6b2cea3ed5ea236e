"""Secrets on a real server: rotated under green and red gates, cut off at the worst instants, and left to systemd.

The tests of this file follow each other on one machine.
"""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.server import FOLDER, Server

pytestmark = [pytest.mark.machine, pytest.mark.security]

NAME: Final = "admin-password"
RED: Final = {
    "prometheus": {"targets": [{"job": "shop", "addresses": ["127.0.0.1:9999"]}]},
    "gates": {"deadline": "10s"},
}
"""A change whose gate is red: a target that nobody serves."""


class Life:
    """The server, and how its secrets stand."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.password = server.password()

    def rotate(self, *words: str, code: int = 0) -> dict[str, object]:
        """Rotate, which must end with this exit code, and return the document."""
        document: dict[str, object] = self.server.document("secrets", "rotate", *words, code=code)
        return document

    def assert_old(self) -> None:
        """The password is the one of before, in the folder and at the front door."""
        assert self.server.password() == self.password
        assert self.server.front_door("/", f"admin:{self.password}")[0] == 200
        self.assert_settled()

    def assert_new(self) -> None:
        """The password is another one, in the folder and at the front door, where the old one lets nobody in."""
        before, self.password = self.password, self.server.password()
        assert self.password != before
        assert self.server.front_door("/", f"admin:{self.password}")[0] == 200
        assert self.server.front_door("/", f"admin:{before}")[0] == 401
        self.assert_settled()

    def assert_settled(self) -> None:
        """Nothing is left of a rotation, and the machine is in the generation that the secrets give."""
        assert self.server.run("secrets", "check").code == 0
        assert self.server.apply()["outcome"] == "unchanged"
        kept = self.server.machine.succeed(["ls", f"{FOLDER}/config/secrets/.kept"]).stdout.split()
        assert "rotation" not in kept


@pytest.fixture(scope="module")
def life(machines: Machines, program_images: Mapping[str, Image]) -> Iterator[Life]:
    server = Server(machines.create(program_images["trixie"], "mon-1"))
    server.set_up()
    yield Life(server)
    server.machine.destroy()


def test_a_green_rotation_gives_the_new_password_and_restarts_nothing(life: Life) -> None:
    pids = life.server.pids()
    document = life.rotate(NAME)
    assert (document["outcome"], document["rotated"]) == ("committed", [NAME])
    assert life.server.pids() == pids
    life.assert_new()


def test_a_red_gate_leaves_the_old_password_in_force(life: Life) -> None:
    life.server.configure(**RED)
    document = life.rotate(NAME, code=3)
    assert (document["outcome"], document["rotated"]) == ("rolled-back", [])
    life.server.configure()
    life.assert_old()


def test_a_controller_that_is_killed_while_the_agent_works_is_settled_by_the_next_apply(life: Life) -> None:
    running = life.server.start("secrets", "rotate", NAME)
    deadline = time.monotonic() + 60
    while "gate" not in running.so_far().stderr:
        assert not running.finished and time.monotonic() < deadline, running.so_far()
        time.sleep(0.02)
    running.signal(signal.SIGKILL)
    # The agent goes on by itself; whoever comes next waits for it.
    settled = life.server.exits(0, "apply", "--yes", "--wait", "60")
    assert f"note: an interrupted rotation of {NAME} is settled: every machine has proven it" in settled.stderr
    life.assert_new()


@pytest.mark.parametrize(
    ("point", "taken"),
    [
        ("rotation-rendered", False),
        ("record-after-switching", False),
        ("record-after-gated", True),
        ("rotation-green", True),
    ],
)
def test_a_kill_of_controller_or_agent_at_an_instant_is_settled(life: Life, point: str, taken: bool) -> None:
    died = life.server.run("secrets", "rotate", NAME, environment={"OBSERVABILITY_CRASH_AT": point})
    assert died.code != 0
    unsettled = life.server.run("secrets", "check")
    assert (unsettled.code, "an interrupted rotation left" in unsettled.stdout) == (1, True)
    settled = life.server.exits(0, "apply", "--yes")
    assert f"note: an interrupted rotation of {NAME} is settled" in settled.stderr
    if taken:
        life.assert_new()
    else:
        life.assert_old()


def test_the_next_rotation_settles_one_that_was_cut_off_and_says_so(life: Life) -> None:
    life.server.run("secrets", "rotate", NAME, environment={"OBSERVABILITY_CRASH_AT": "rotation-rendered"})
    done = life.server.exits(0, "secrets", "rotate", "--all")
    assert "the old value holds, the new one is dropped" in done.stderr
    assert f"{NAME}: the new value is in force" in done.stdout
    life.assert_new()


# ------------------------------------------------------------------------------------------------------ credentials

VALUE: Final = "K4vDq8ZmW1xTn6RbYs2J"
RELAY: Final = "/srv/relay.py"
SEEN: Final = "/srv/relay.seen"
RELAY_PROGRAM: Final = f"""
import socketserver

class Relay(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 relay ESMTP\\r\\n")
        data = False
        for line in self.rfile:
            if data:
                data = line != b".\\r\\n"
                answer = None if data else b"250 taken"
            elif line.upper().startswith(b"EHLO"):
                answer = b"250-relay\\r\\n250 AUTH PLAIN"
            elif line.upper().startswith(b"AUTH PLAIN"):
                open("{SEEN}", "wb").write(line.split()[2])
                answer = b"235 in"
            elif line.upper().startswith(b"DATA"):
                data, answer = True, b"354 go on"
            else:
                answer = b"250 well"
            if answer:
                self.wfile.write(answer + b"\\r\\n")

socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 2525), Relay).serve_forever()
"""
SMTP: Final = {
    "alertmanager": {
        "smtp": {
            "host": "127.0.0.1",
            "port": 2525,
            "sender": "alerts@observability.example.org",
            "require_tls": False,
            "username": "relay-user",
            "password": "secret:smtp-password",
        },
        "receivers": [{"name": "people", "email": ["ops@observability.example.org"]}],
        "default_receiver": "people",
        "group_wait": "1s",
    }
}


def test_a_credential_that_is_not_there_is_refused_before_anything_is_switched(life: Life) -> None:
    before = life.server.current()
    life.server.configure(**SMTP, secrets={"credentials": {"smtp-password": "plain"}})
    refused = life.server.exits(3, "apply", "--yes")
    assert "/etc/credstore/smtp-password is missing or empty" in refused.stdout + refused.stderr
    assert life.server.current() == before


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
def test_alertmanager_logs_in_with_what_only_systemd_has(life: Life, kind: str) -> None:
    machine, value = life.server.machine, f"{VALUE}-{kind}"
    if kind == "plain":
        machine.succeed("install -d -m 700 /etc/credstore")
        machine.write("/etc/credstore/smtp-password", value, 0o600)
    else:
        machine.succeed("install -d -m 700 /etc/credstore.encrypted; rm -r /etc/credstore")
        seal = "systemd-creds encrypt --with-key=host --name=smtp-password - /etc/credstore.encrypted/smtp-password"
        machine.run(seal, stdin=value.encode())
        assert value not in machine.succeed("cat /etc/credstore.encrypted/smtp-password").stdout
    life.server.configure(**SMTP, secrets={"credentials": {"smtp-password": kind}})
    assert life.server.apply()["outcome"] == "committed"
    assert logged_in(life.server) == value
    # Nothing of ours has it: neither the controller's folder nor the generations.
    found = machine.run(f"grep -rl {value} /var/lib/observability {FOLDER}/config /etc/systemd /etc/alertmanager")
    assert found.stdout == ""
    listed = {item["name"]: item for item in life.server.document("secrets", "list")["secrets"]}
    assert listed["smtp-password"]["provider"] == f"systemd ({kind})"
    life.server.exits(2, "secrets", "rotate", "smtp-password", "--set")


def logged_in(server: Server) -> str:
    """Let an alert be mailed, and return the password with which Alertmanager logged in at the relay."""
    machine = server.machine
    machine.write(RELAY, RELAY_PROGRAM)
    machine.succeed(f"rm -f {SEEN}; systemctl is-active relay || systemd-run --unit=relay python3 {RELAY}")
    alert = [{"labels": {"alertname": "Trial", "host": f"host-{time.time()}"}}]
    post = ["curl", "-sS", "--fail", "-H", "Content-Type: application/json", "--data", json.dumps(alert)]
    machine.succeed([*post, "http://127.0.0.1:9093/api/v2/alerts"])
    machine.wait_until_succeeds(f"test -s {SEEN}", timeout_s=30)
    _, _, password = base64.b64decode(machine.succeed(["cat", SEEN]).stdout).decode().split("\0")
    return password
