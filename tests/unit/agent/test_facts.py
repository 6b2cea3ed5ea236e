from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from obstack.agent import facts, listeners, wire
from obstack.plan.facts import shaped


def ask(**question: object) -> dict[str, wire.Fact]:
    given = facts.Question("", "/var/lib/observability", **question)  # type: ignore[arg-type]
    return {fact.name: fact for fact in facts.gather(given)}


def test_everything_of_this_machine_is_known_and_fits_the_wire() -> None:
    found = ask(commands=["sh", "no-such-command"], users=["root", "no-such-user"])
    for fact in found.values():
        assert fact.state == "known" or fact.name in ("systemd", "packages", "firewall"), fact
        assert wire.decode(wire.Fact, json.loads(wire.canonical(wire.encode(fact)))) == fact
        assert shaped(fact) == fact, "the controller takes no fact whose form it does not know"
    assert found["python"].value == list(sys.version_info[:3])
    assert found["user"].value == os.geteuid()
    assert found["disk"].value["total_bytes"] >= found["disk"].value["free_bytes"] > 0
    assert found["memory"].value["total_bytes"] > found["memory"].value["free_bytes"] > 0
    assert found["commands"].value["no-such-command"] == ""
    assert found["commands"].value["sh"].endswith("/sh")
    assert found["users"].value == {"root": 0}


def test_a_probe_that_cannot_look_is_unknown_and_spoils_no_other(tmp_path: Path) -> None:
    def refused(_: facts.Question) -> None:
        raise PermissionError(13, "Permission denied", "/proc/secret")

    fact = facts._probe("secret", refused, facts.Question("", str(tmp_path)))
    assert (fact.state, fact.value) == ("unknown", None)
    assert "Permission denied" in fact.reason


def test_paths_are_ours_by_the_ledger_or_by_where_they_lead(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for name, target in (("ours", state / "current/etc/a"), ("foreign", tmp_path / "elsewhere")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "ledger").mkdir()
    names = ("ours", "foreign", "folder", "file", "ledger", "none")
    question = facts.Question(
        "", str(state), paths=[str(tmp_path / name) for name in names], ours=frozenset({str(tmp_path / "ledger")})
    )
    (fact,) = [fact for fact in facts.gather(question) if fact.name == "paths"]
    assert {Path(path).name: kind for path, kind in fact.value.items()} == {
        "ours": "ours",
        "foreign": "link",
        "folder": "directory",
        "file": "file",
        "ledger": "ours",
        "none": "absent",
    }


def test_units_of_others_are_found_in_every_folder(tmp_path: Path) -> None:
    for folder, name in (("etc/systemd/system", "nginx"), ("usr/lib/systemd/system", "prometheus")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / f"{name}.service").touch()
    ours = str(tmp_path / "etc/systemd/system/nginx.service")
    question = facts.Question(str(tmp_path), "/s", units=["nginx", "prometheus", "none"])
    (fact,) = [fact for fact in facts.gather(question) if fact.name == "units"]
    assert set(fact.value) == {"nginx", "prometheus"}
    question = facts.Question(str(tmp_path), "/s", units=["nginx"], ours=frozenset({ours}))
    (fact,) = [fact for fact in facts.gather(question) if fact.name == "units"]
    assert fact.value == {}


def test_a_listener_is_found_with_its_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [listener for listener in listeners.read_listeners() if listener.port == port]
    program = Path("/proc/self/comm").read_text().strip()
    assert [(listener.address, listener.program) for listener in found] == [("127.0.0.1", program)]


def test_the_kernel_table_is_read_in_both_families() -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    rest = "00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 1 0 100 0 0 10 0\n"
    listening = f"   0: 0100007F:2382 {rest.format('0A', 77)}"
    connected = f"   1: 0100007F:2382 {rest.format('01', 78)}"
    six = f"   0: 00000000000000000000000001000000:0050 {rest.format('0A', 79)}"
    assert listeners.parse_table(head + listening + connected) == [("127.0.0.1", 9090, "77")]
    assert listeners.parse_table(head + six) == [("::1", 80, "79")]


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/prometheus.service\n", "prometheus.service"),
        ("0::/system.slice/nginx.service/inner\n", "nginx.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        ("0::/\n", ""),
        ("1:name=systemd:/system.slice/cron.service\n0::/\n", "cron.service"),
    ],
)
def test_the_unit_of_a_process_is_in_its_control_group(cgroup: str, unit: str) -> None:
    assert listeners.parse_unit(cgroup) == unit
