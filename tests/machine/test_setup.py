"""A fresh server becomes the stack, does what it is for, and stays as it is when nothing changes."""

from __future__ import annotations

import time

import pytest

from machine.server import FOLDER, SETTINGS, UNITS, Server

pytestmark = pytest.mark.machine

STATE = "/var/lib/observability"
JOBS = {"prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "front-door"}
LINKS = ("prometheus", "alertmanager", "blackbox-exporter", "nginx")
AMTOOL = f"{STATE}/current/artifacts/alertmanager/usr/bin/amtool --alertmanager.url=http://127.0.0.1:9093"


@pytest.fixture(scope="module")
def set_up(bare_server: Server) -> Server:
    """A server of each suite, set up by the one command that the documentation names."""
    bare_server.succeed("preflight", "--observability-vps", "--fix")
    setup = ["./scripts/setup-observability.sh", "--yes"]
    result = bare_server.machine.succeed(setup, directory=FOLDER, timeout_s=180)
    assert "mon-1: committed, generation " in result.stdout
    assert f"https://{SETTINGS['domain']}/prometheus/" in result.stdout
    assert bare_server.password() not in result.stdout + result.stderr
    return bare_server


def log_messages(server: Server, *arguments: str) -> list[str]:
    """The messages that `observability logs` finds."""
    return [line["message"] for line in server.document("logs", *arguments)["lines"]]


def test_its_units_run_and_its_configuration_leads_into_the_generation(set_up: Server) -> None:
    machine = set_up.machine
    shown = machine.succeed(["systemctl", "status", "--no-pager", *UNITS]).stdout
    assert shown.count("Active: active (running)") == len(UNITS)
    for unit in UNITS:
        assert machine.unit_property(unit, "UnitFileState") == "enabled"
    for name in LINKS:
        assert machine.succeed(["readlink", f"/etc/{name}"]).stdout.strip() == f"{STATE}/current/etc/{name}"
    drop_in = machine.succeed(["realpath", "/etc/systemd/journald.conf.d/observability.conf"]).stdout
    assert drop_in.startswith(f"{STATE}/generations/{set_up.current()}/")
    assert machine.succeed("systemctl --failed --no-legend").stdout == ""


def test_the_front_door_lets_in_whom_it_should(set_up: Server) -> None:
    login = f"admin:{set_up.password()}"
    for path in ("/", "/prometheus/api/v1/labels", "/alertmanager/api/v2/status"):
        assert set_up.front_door(path, login)[0] == 200, path
        assert set_up.front_door(path)[0] == 401, path
        assert set_up.front_door(path, "admin:wrong")[0] == 401, path
        assert set_up.front_door(path, scheme="http") == (308, f"https://{SETTINGS['domain']}{path}")
    assert set_up.machine.run(["curl", "-sS", f"http://{set_up.machine.address}:9090/"]).code == 7, "loopback only"


def test_everything_is_scraped(set_up: Server) -> None:
    found = {series["metric"]["job"]: series["value"][1] for series in set_up.query("up")}
    assert found == dict.fromkeys(JOBS, "1")
    (watched,) = set_up.query('node_systemd_unit_state{name="prometheus.service",state="active"}')
    assert watched["value"][1] == "1"
    assert set_up.query("prometheus_build_info")[0]["metric"]["host"] == "mon-1"


def test_a_posted_alert_reaches_alertmanager(set_up: Server) -> None:
    set_up.machine.succeed(f"{AMTOOL} alert add TestAlert severity=info host=web-1")
    assert set_up.alerts()["TestAlert"]["labels"] == {"alertname": "TestAlert", "severity": "info", "host": "web-1"}


def test_the_servers_own_logs_can_be_queried(set_up: Server) -> None:
    set_up.front_door("/made-up-page", f"admin:{set_up.password()}")
    pattern = 'GET /made-up-page HTTP/[0-9.]+" 404'
    (request,) = log_messages(set_up, "nginx", "--grep", pattern)
    assert " - admin [" in request
    assert log_messages(set_up, "--grep", pattern, "--since", "1h") == [request]
    assert log_messages(set_up, "nginx", "--grep", pattern, "--since", "2099-01-01T00:00:00Z") == []
    found = set_up.document("logs", "prometheus")["lines"]
    assert {line["unit"] for line in found} == {"prometheus"}
    assert any("Server is ready" in line["message"] for line in found)
    shown = set_up.succeed("logs", "nginx", "--grep", pattern).stdout
    assert shown.endswith(f"Z nginx {request}\n")
    assert shown.count("\n") == 1


def test_it_says_that_all_is_well(set_up: Server) -> None:
    health = set_up.document("health")
    assert health["healthy"] is True
    assert [gate["name"] for gate in health["gates"] if not gate["passed"]] == []
    shown = set_up.succeed("health", "--verbose").stdout
    assert shown.count("\nok ") + shown.startswith("ok ") == len(health["gates"])
    assert f"mon-1 is healthy: {len(health['gates'])} of {len(health['gates'])} gates green" in shown
    status = set_up.document("status")
    assert {unit["name"]: unit["active"] for unit in status["units"] if unit["name"] in UNITS} == dict.fromkeys(
        UNITS, "active"
    )
    assert (status["generation"], status["drift"]) == (set_up.current(), [])
    assert set_up.succeed("drift").stdout.startswith("mon-1: no drift from generation ")


def test_a_second_apply_changes_nothing(set_up: Server) -> None:
    pids, traces = set_up.pids(), set_up.traces()
    shown = set_up.succeed("apply", "--yes").stdout
    assert shown.startswith("mon-1: nothing to do, generation ")
    assert set_up.apply()["outcome"] == "unchanged"
    assert set_up.pids() == pids
    assert set_up.traces() == traces


def test_its_units_are_hardened(set_up: Server) -> None:
    for unit in UNITS:
        shown = set_up.machine.succeed(["systemd-analyze", "security", "--no-pager", unit]).stdout
        exposure = float(shown.rsplit("Overall exposure level", 1)[1].split(":")[1].split()[0])
        assert exposure <= 2.0, f"{unit}\n{shown}"


def test_a_restart_of_prometheus_is_graceful_and_loses_no_sample(set_up: Server) -> None:
    machine = set_up.machine
    ((before),) = (series["value"] for series in set_up.query('max_over_time(timestamp(up{job="prometheus"})[1m:1s])'))
    began = time.time()
    machine.succeed(["systemctl", "restart", "prometheus"])
    assert time.time() - began < 20, "well within the 120 s that it may take"
    machine.wait_until_succeeds("curl -sS --fail http://127.0.0.1:9090/-/ready")
    kept = set_up.query('up{job="prometheus"}', at=float(before[1]))
    assert [series["value"][1] for series in kept] == ["1"]
    log = "\n".join(log_messages(set_up, "prometheus", "--since", f"{int(time.time() - began) + 10}s"))
    assert "See you next time!" in log
    assert "corruption" not in log.lower()
    assert set_up.query("prometheus_tsdb_wal_corruptions_total")[0]["value"][1] == "0"


def test_it_comes_back_by_itself_after_a_reboot(set_up: Server) -> None:
    current = set_up.current()
    set_up.machine.reboot()
    for unit in UNITS:
        set_up.machine.wait_for_unit(unit)
    assert set_up.machine.unit_property("observability-recover", "Result") == "success"
    assert set_up.machine.unit_property("observability-recover", "ExecMainStartTimestampMonotonic") != "0"
    assert set_up.document("health")["healthy"] is True
    assert set_up.apply()["outcome"] == "unchanged"
    assert set_up.current() == current
