"""A module and the service it watches: the real nginx takes a snippet, refuses one, is away, and is left as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from machine.fleet_machine import services_image
from machine.hosting import Hosting, shipped
from machine.library.image import Image, ImageStore
from machine.library.session import Machines
from obstack.agent import wire
from obstack.errors import Unreachable

pytestmark = pytest.mark.machine

SNIPPET = "/etc/nginx/conf.d/observability-status.conf"
STATUS = ["curl", "--silent", "--fail", "http://127.0.0.1:8090/stub_status"]
WRITER = b"""import os, sys, time
while True:
    with open(sys.argv[1] + ".new", "w") as file:
        file.write("written_by_a_test 1\\n")
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    time.sleep(5)
"""
WRITES: dict[str, Any] = {
    "name": "writer",
    "title": "A script that leaves metrics behind",
    "description": "Metrics through the node exporter.",
    "options": {
        "make": {"type": "boolean", "default": True, "description": "Whether there is an account."},
        "user": {"type": "string", "default": "reader", "description": "Its name."},
        "password": {"type": "secret", "description": "Its password."},
    },
    "service": {
        "name": "metrics-writer",
        "command": ["${python}", "-I", "${file.writer.py}", "${textfile}/test.prom"],
        "access": {"textfile": True},
    },
    "account": {
        "option": "make",
        "command": ["/bin/cat"],
        "create": ["create ${user} '${password}';"],
        "remove": ["remove ${user}"],
    },
    "exporter": {"through": "node", "key_metric": "written_by_a_test"},
}


def watching(name: str, unit: str, content: list[Any]) -> dict[str, Any]:
    """A module with a snippet for a unit."""
    return {
        "name": name,
        "title": name,
        "description": name,
        "files": [
            {
                "path": "snippet.conf",
                "format": "nginx",
                "content": content,
                "link": f"/etc/nginx/conf.d/{name}.conf",
                "unit": unit,
                "check": ["/usr/sbin/nginx", "-t", "-q"],
            }
        ],
        "exporter": {"through": "node", "key_metric": "node_uname_info"},
    }


USES: dict[str, Any] = {"nginx": {}, "writer": {"options": {"password": "secret:account-password"}}}
SERVES = [["server", [["listen", "127.0.0.1:8092"], ["location", "/", [["return", "200", "taken"]]]]]]
ANSWER = ["curl", "--silent", "--fail", "http://127.0.0.1:8092/"]
WRONG: dict[str, Any] = {
    "name": "wrong",
    "title": "wrong",
    "description": "wrong",
    "service": {"name": "wrong", "command": ["/bin/false"]},
    "exporter": {"through": "node", "key_metric": "node_uname_info"},
}
OWN = {
    "answers": shipped(watching("answers", "nginx.service", SERVES)),
    "writer": shipped(WRITES, {"writer.py": WRITER}),
    "wrong": shipped(WRONG),
    "broken": shipped(watching("broken", "nginx.service", [["no_such_directive", "on"]])),
    "absent": shipped(watching("absent", "absent.service", [["server_tokens", "off"]])),
}


@pytest.fixture(scope="module")
def hosting(
    machines: Machines,
    images: ImageStore,
    suite: str,
    minimal_images: Mapping[str, Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hosting]:
    machine = machines.create(services_image(images, minimal_images[suite]), "web-1")
    machine.succeed(["systemctl", "start", "nginx"])
    hosting = Hosting(machine, suite, tmp_path_factory.mktemp("hosting"), ("node", "nginx"), OWN)
    reply = hosting.apply(USES)
    assert reply.outcome == "committed", (reply.fault, [gate for gate in reply.gates if not gate.passed])
    yield hosting
    machine.destroy()


def accounts(hosting: Hosting) -> list[str]:
    """What the client of the account was told so far."""
    log = hosting.machine.succeed(
        ["journalctl", "-u", "metrics-writer-account", "-o", "cat", "--grep", "^(create|remove)"]
    )
    return [" ".join(line.split()[:2]) for line in log.stdout.splitlines()]


def code(reply: wire.Reply) -> str:
    assert reply.fault is not None, reply.outcome
    return reply.fault.code


def silent(hosting: Hosting, question: list[str]) -> bool:
    """Return whether nobody answers any more: nginx reloads while its old workers still take a question."""
    deadline = time.monotonic() + 10
    while hosting.machine.run(question).code == 0:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_the_snippet_is_in_force_and_a_second_apply_changes_nothing(hosting: Hosting) -> None:
    machine = hosting.machine
    assert "Active connections" in machine.succeed(STATUS).stdout
    before = hosting.pids("nginx", "nginx-exporter", "node-exporter", "exporter-proxy", "metrics-writer")
    assert hosting.apply(USES).outcome == "unchanged"
    after = hosting.pids("nginx", "nginx-exporter", "node-exporter", "exporter-proxy", "metrics-writer")
    assert after == before


def test_the_account_was_made_by_the_text_that_nobody_else_may_read(hosting: Hosting) -> None:
    machine = hosting.machine
    log = machine.succeed(["journalctl", "-u", "metrics-writer-account", "-o", "cat"]).stdout
    assert "create reader 'correct-horse';" in log, "the client of this test writes what it was told"
    assert machine.unit_property("metrics-writer-account", "ActiveState") == "active"
    folder = "/etc/observability-exporters/metrics-writer/account"
    assert machine.run(["setpriv", "--reuid=nobody", "--clear-groups", "cat", f"{folder}/create"]).code != 0


def test_the_old_account_goes_when_its_name_changes_and_comes_back_when_the_change_is_undone(hosting: Hosting) -> None:
    renamed = {**USES, "writer": {"options": {"password": "secret:account-password", "user": "watcher"}}}
    before = accounts(hosting)
    assert hosting.apply(renamed).outcome == "committed"
    assert accounts(hosting)[len(before) :] == ["remove reader", "create watcher"]

    before = accounts(hosting)
    assert hosting.apply({**USES, "wrong": {}}).outcome == "rolled-back"
    there_and_back = ["remove watcher", "create reader", "remove reader", "create watcher"]
    assert accounts(hosting)[len(before) :] == there_and_back

    assert hosting.apply(USES).outcome == "committed"
    assert accounts(hosting)[-2:] == ["remove watcher", "create reader"]
    assert hosting.machine.unit_property("metrics-writer-account", "ActiveState") == "active"


def test_a_snippet_that_nginx_refuses_is_taken_back_and_nginx_goes_on(hosting: Hosting) -> None:
    machine = hosting.machine
    before = hosting.pids("nginx", "nginx-exporter", "exporter-proxy")
    reply = hosting.apply({**USES, "broken": {}})
    assert reply.outcome == "rolled-back"
    assert code(reply) == "act-failed"
    assert reply.fault is not None
    assert reply.fault.exit_code == 3
    assert "no_such_directive" in (reply.fault.detail or "")
    assert machine.run(["test", "-e", "/etc/nginx/conf.d/broken.conf"]).code != 0
    machine.succeed(["nginx", "-t"])
    assert "Active connections" in machine.succeed(STATUS).stdout
    assert hosting.pids("nginx", "nginx-exporter", "exporter-proxy") == before
    assert hosting.apply(USES).outcome == "unchanged"


def test_a_watched_service_that_is_not_there_is_refused_before_anything_is_changed(hosting: Hosting) -> None:
    before = hosting.machine.succeed(["readlink", "/var/lib/observability/current"]).stdout
    reply = hosting.apply({**USES, "absent": {}})
    assert (reply.outcome, code(reply)) == ("refused", "unit-absent")
    assert hosting.machine.succeed(["readlink", "/var/lib/observability/current"]).stdout == before
    assert hosting.machine.run(["test", "-e", "/etc/nginx/conf.d/absent.conf"]).code != 0


def test_a_configuration_that_a_hand_broke_is_told_before_anything_is_changed(hosting: Hosting) -> None:
    machine = hosting.machine
    machine.write("/etc/nginx/conf.d/by-hand.conf", "nonsense on;\n")
    try:
        reply = hosting.apply({**USES, "nginx": {"options": {"status_address": "127.0.0.1:8091"}}})
        assert (reply.outcome, code(reply)) == ("refused", "foreign-configuration-refused")
        assert reply.fault is not None
        assert "by-hand.conf" in (reply.fault.detail or "")
    finally:
        machine.succeed(["rm", "/etc/nginx/conf.d/by-hand.conf"])
    assert hosting.apply(USES).outcome == "unchanged"


def test_a_snippet_that_a_hand_took_away_is_put_back_and_taken_by_nginx(hosting: Hosting) -> None:
    machine = hosting.machine
    machine.succeed(f"rm {SNIPPET}; systemctl reload nginx")
    reply = hosting.apply(USES)
    assert reply.outcome == "committed"
    assert {action.unit: action.action for action in reply.actions if action.action != "none"} == {
        "nginx.service": "reload"
    }
    assert "Active connections" in machine.succeed(STATUS).stdout


def test_a_service_that_is_stopped_is_not_started_and_reads_the_snippet_later(hosting: Hosting) -> None:
    machine = hosting.machine
    machine.succeed(["systemctl", "stop", "nginx"])
    assert hosting.apply({**USES, "answers": {}}).outcome == "committed"
    assert machine.unit_property("nginx", "ActiveState") == "inactive"
    machine.succeed(["systemctl", "start", "nginx"])
    assert machine.succeed(ANSWER).stdout == "taken"
    before = hosting.pids("nginx")
    assert hosting.apply(USES).outcome == "committed"
    assert silent(hosting, ANSWER), "the snippet that went was let go of"
    assert hosting.pids("nginx") == before


def test_a_snippet_that_a_stopped_service_would_refuse_does_not_stay(hosting: Hosting) -> None:
    machine = hosting.machine
    machine.succeed(["systemctl", "stop", "nginx"])
    reply = hosting.apply({**USES, "broken": {}})
    assert (reply.outcome, code(reply)) == ("rolled-back", "act-failed")
    assert reply.fault is not None
    assert "no_such_directive" in (reply.fault.detail or "")
    assert machine.run(["test", "-e", "/etc/nginx/conf.d/broken.conf"]).code != 0
    machine.succeed(["systemctl", "start", "nginx"])
    assert hosting.apply(USES).outcome == "unchanged"


def test_a_power_cut_before_a_snippet_is_judged_does_not_keep_the_service_from_starting(hosting: Hosting) -> None:
    machine = hosting.machine
    machine.succeed(["systemctl", "enable", "nginx"])
    # Whoever does not wait for the recovery starts long before it has ended.
    machine.write("/etc/systemd/system/observability-recover.service.d/slow.conf", "[Service]\nExecStartPre=sleep 3\n")
    with pytest.raises(Unreachable):
        hosting.apply({**USES, "broken": {}}, OBSERVABILITY_CRASH_AT="act-nginx.service")
    machine.succeed(["test", "-e", "/etc/nginx/conf.d/broken.conf"])
    machine.power_cut()
    machine.boot()
    machine.wait_for_unit("nginx.service")
    assert machine.run(["test", "-e", "/etc/nginx/conf.d/broken.conf"]).code != 0
    assert machine.unit_property("observability-recover", "Result") == "success"
    machine.succeed(["rm", "-r", "/etc/systemd/system/observability-recover.service.d"])
    assert hosting.apply(USES).outcome == "unchanged"
    assert "Active connections" in machine.succeed(STATUS).stdout


def test_taking_everything_off_leaves_nginx_as_it_was(hosting: Hosting) -> None:
    machine = hosting.machine
    before = hosting.pids("nginx")
    reply = hosting.ask(wire.Request("uninstall", {"purge": True}, who="a test"))
    assert reply.fault is None, reply.fault
    assert machine.run(["test", "-e", SNIPPET]).code != 0
    assert silent(hosting, STATUS), "nginx has let go of the snippet"
    assert hosting.pids("nginx") == before
    log = machine.succeed(["journalctl", "-u", "metrics-writer-account", "-o", "cat"]).stdout
    assert "remove reader" in log
    assert machine.run(["test", "-e", "/var/lib/observability-textfile"]).code != 0
