"""One server and three hosts over real SSH: the order of a run, what stops it, and how it is gone on with."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest

from machine.audit_log import LOG, overwrite
from machine.library.command import Running
from machine.library.image import Image
from machine.library.session import Machines
from machine.monitored import Monitored, monitored
from machine.server import FOLDER

pytestmark = pytest.mark.machine

HOSTS = {"web-1": "bookworm", "web-2": "trixie", "db-1": "trixie"}
ALL = (*sorted(HOSTS), "mon-1")


@pytest.fixture(scope="module")
def fleet(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> Iterator[Monitored]:
    """All machines booted, and the secrets drawn; the tests of this module follow each other."""
    made = monitored(machines, program_images, minimal_images, HOSTS)
    made.server.succeed("preflight", "--observability-vps", "--fix")
    yield made


def test_from_nothing_everything_is_brought_up_the_hosts_first(fleet: Monitored) -> None:
    plan = fleet.document("plan")
    assert {node["node"]: node["outcome"] for node in plan["nodes"]} == dict.fromkeys(ALL, "changes")
    nodes = fleet.apply()
    assert {name: node["outcome"] for name, node in nodes.items()} == dict.fromkeys(ALL, "committed")
    series = fleet.server.query('node_uname_info{role="monitored-host"}')
    assert {item["metric"]["host"] for item in series} == set(HOSTS)


def test_a_second_apply_changes_nothing_anywhere(fleet: Monitored) -> None:
    before = {name: (fleet.pids(name), fleet.traces(name)) for name in ALL}
    nodes = fleet.apply()
    assert {name: node["outcome"] for name, node in nodes.items()} == dict.fromkeys(ALL, "unchanged")
    assert {name: (fleet.pids(name), fleet.traces(name)) for name in ALL} == before
    assert fleet.document("drift")["exit_code"] == 0
    fleet.wait_for_journals()
    assert fleet.document("health")["summary"] == {"healthy": len(ALL)}


@pytest.mark.security
def test_the_audit_logs_of_all_are_judged_and_the_altered_one_is_named(fleet: Monitored) -> None:
    assert fleet.document("audit", "verify")["summary"] == {"intact": len(ALL)}
    shown = fleet.document("audit", "show", "--host", "web-1")
    assert shown["entries"][0]["who"]["controller_host"] == "mon-1"
    assert shown["entries"][0]["who"]["address"] == fleet.server.machine.address
    whole = fleet.hosts["web-1"].succeed(["cat", LOG]).stdout.splitlines()
    overwrite(fleet.hosts["web-1"], [])
    judged = {node["node"]: node for node in fleet.document("audit", "verify", code=1)["nodes"]}
    assert {name: node["outcome"] for name, node in judged.items()} == {
        **dict.fromkeys(ALL, "intact"),
        "web-1": "broken",
    }
    assert judged["web-1"]["breaches"][0]["code"] == "log-gone"
    overwrite(fleet.hosts["web-1"], whole)
    assert "web-1: intact" in fleet.server.succeed("audit", "verify").stdout


def test_a_host_that_is_off_is_reported_and_stops_nobody_and_is_brought_up_later(fleet: Monitored) -> None:
    fleet.hosts["db-1"].shutdown()
    change(fleet, port=9201)
    began = time.monotonic()
    nodes = fleet.apply(code=6)
    assert time.monotonic() - began < 60
    outcomes = {name: node["outcome"] for name, node in nodes.items()}
    assert outcomes.pop("db-1") == "unreachable"
    assert set(outcomes.values()) == {"committed"}
    assert nodes["db-1"]["error"]["exit_code"] == 6
    assert fleet.document("status", code=6)["summary"] == {"ok": 3, "unreachable": 1}
    fleet.hosts["db-1"].boot()
    outcomes = {name: node["outcome"] for name, node in fleet.apply("--resume").items()}
    assert outcomes == {"db-1": "committed", **dict.fromkeys(("web-1", "web-2", "mon-1"), "done before")}
    fleet.server.machine.wait_until_succeeds(up("db-1:9201"), timeout_s=20)


def test_a_red_gate_undoes_one_host_and_stops_the_run_before_the_others(fleet: Monitored) -> None:
    generations = {name: fleet.current(name) for name in ALL}
    change(fleet, port=9202)
    with occupied(fleet, "db-1", 9202):
        others = ("web-1", "web-2", "mon-1")
        before = {name: (fleet.pids(name), fleet.traces(name)) for name in others}
        nodes = fleet.apply("--batch", "1", code=3)
        assert {name: (fleet.pids(name), fleet.traces(name)) for name in others} == before
    outcomes = {name: node["outcome"] for name, node in nodes.items()}
    assert outcomes == {"db-1": "rolled-back", **dict.fromkeys(others, "skipped")}
    assert f"rolled back to generation {generations['db-1'][:12]}" in nodes["db-1"]["error"]["state"]
    assert {name: fleet.current(name) for name in ALL} == generations


def test_a_canary_that_fails_stops_everything_however_many_failures_are_allowed(fleet: Monitored) -> None:
    generations = {name: fleet.current(name) for name in ALL}
    asked = fleet.run("apply")
    assert asked.code == 2
    assert "Plan for 4 nodes: 4 would change" in asked.stderr
    assert "db-1, web-1, web-2 (3 nodes: same change)" in asked.stderr
    with occupied(fleet, "web-2", 9202):
        result = fleet.run("apply", "--yes", "--canary", "web-2", "--max-failures", "9")
    assert result.code == 3
    assert "canary: web-2" in result.stderr
    assert "rolled back" in result.stdout
    assert "do:    observability" in result.stdout
    assert "3 skipped" in result.stdout
    assert {name: fleet.current(name) for name in ALL} == generations


def test_failures_that_are_allowed_leave_the_server_to_prove_the_others(fleet: Monitored) -> None:
    with occupied(fleet, "db-1", 9202):
        nodes = fleet.apply("--max-failures", "1", code=3)
    outcomes = {name: node["outcome"] for name, node in nodes.items()}
    assert outcomes == {"db-1": "rolled-back", **dict.fromkeys(("web-1", "web-2", "mon-1"), "committed")}
    outcomes = {name: node["outcome"] for name, node in fleet.apply().items()}
    assert outcomes == {"db-1": "committed", **dict.fromkeys(("web-1", "web-2", "mon-1"), "unchanged")}


def test_an_interruption_ends_the_host_in_flight_and_the_run_is_gone_on_with(fleet: Monitored) -> None:
    change(fleet, port=9203)
    generations = {name: fleet.current(name) for name in ALL}
    running = fleet.server.start("apply", "--yes", "--batch", "1")
    wait_for_flight(fleet, running, committed="db-1", working="web-1")
    running.signal(signal.SIGINT)
    result = running.wait(120)
    assert result.code == 130, str(result)
    assert "observability apply --resume" in result.stdout
    assert {name: fleet.current(name) for name in ("web-2", "mon-1")} == {
        name: generations[name] for name in ("web-2", "mon-1")
    }
    assert fleet.current("db-1") != generations["db-1"]
    assert fleet.current("web-1") == generations["web-1"]
    outcomes = {name: node["outcome"] for name, node in fleet.apply("--resume").items()}
    assert outcomes == {"db-1": "done before", **dict.fromkeys(("web-1", "web-2", "mon-1"), "committed")}


def test_a_server_that_goes_down_in_the_middle_goes_on_where_it_was(fleet: Monitored) -> None:
    change(fleet, port=9204)
    running = fleet.server.start("apply", "--yes", "--batch", "1")
    wait_for_flight(fleet, running, committed="db-1", working="web-1")
    fleet.server.machine.power_cut()
    fleet.server.machine.boot()
    outcomes = {name: node["outcome"] for name, node in fleet.apply("--resume", "--wait", "60").items()}
    assert outcomes.pop("db-1") == "done before"
    assert outcomes.pop("web-1") in ("committed", "unchanged")
    assert set(outcomes.values()) == {"committed"}
    assert fleet.document("health")["summary"] == {"healthy": len(ALL)}


def test_one_node_is_worked_on_by_its_name(fleet: Monitored) -> None:
    assert fleet.document("apply", "--yes", "--host", "web-1")["outcome"] == "unchanged"
    assert fleet.document("rollback", "--auto", "--host", "web-1")["outcome"] == "committed"
    listed = fleet.document("generations", "list", "--host", "web-1")
    assert listed["node"] == "web-1"
    assert len(listed["generations"]) > 2
    limited = fleet.document("plan", "--limit", "web-*")
    assert {node["node"]: node["outcome"] for node in limited["nodes"]} == {"web-1": "changes", "web-2": "unchanged"}
    outcomes = {name: node["outcome"] for name, node in fleet.apply("--resume").items()}
    assert outcomes == {"web-1": "committed", **dict.fromkeys(("web-2", "db-1", "mon-1"), "done before")}


def test_a_host_that_was_taken_back_by_somebody_else_is_not_taken_for_done(fleet: Monitored) -> None:
    change(fleet, port=9205)
    fleet.apply()
    desired = fleet.current("web-1")
    record = f"{FOLDER}/config/.fleet/last-run.jsonl"
    fleet.server.machine.succeed(f"cp {record} /root/remembered")
    assert fleet.document("rollback", "--auto", "--host", "web-1")["outcome"] == "committed"
    # As if it had been done from elsewhere: nothing is remembered of it here.
    fleet.server.machine.succeed(f"cp /root/remembered {record}")
    outcomes = {name: node["outcome"] for name, node in fleet.apply("--resume").items()}
    assert outcomes == {"web-1": "committed", **dict.fromkeys(("web-2", "db-1", "mon-1"), "done before")}
    assert fleet.current("web-1") == desired


# ----------------------------------------------------------------------------------------------------------- tools


def change(fleet: Monitored, port: int) -> None:
    """Change something on every host: where its node exporter listens."""
    for name in HOSTS:
        fleet.describe(name, modules={"node": {"options": {"port": port}}})


@contextmanager
def occupied(fleet: Monitored, name: str, port: int) -> Iterator[None]:
    """Let a stranger listen where the host's exporter is to listen, so that its gates become red."""
    machine = fleet.hosts[name]
    stranger = machine.start(["python3", "-m", "http.server", str(port)])
    machine.wait_until_succeeds(f"bash -c '</dev/tcp/127.0.0.1/{port}'")
    try:
        yield
    finally:
        stranger.kill()
        machine.run(["pkill", "-f", "http.server"])


def wait_for_flight(fleet: Monitored, running: Running, *, committed: str, working: str) -> None:
    """Return when one host was committed and the agent of the next one works."""
    deadline = time.monotonic() + 90
    while f"{committed}: committed" not in running.so_far().stderr:
        assert not running.finished and time.monotonic() < deadline, str(running.so_far())
        time.sleep(0.02)
    fleet.hosts[working].wait_until_succeeds("pgrep -f 'agent.*serve'")


def up(instance: str) -> str:
    """Return a command that succeeds once Prometheus has scraped the target."""
    query = urlencode([("query", f'up{{instance="{instance}"}} == 1')])
    return f"curl -sS --fail 'http://127.0.0.1:9090/api/v1/query?{query}' | grep '\"value\":'"
