"""Somebody breaks a configuration file by hand and restarts its service: a clear reason, no crash loop, and healed."""

from __future__ import annotations

import time

import pytest

from machine.server import Server

pytestmark = pytest.mark.machine

FILES = {
    "prometheus": "/etc/prometheus/prometheus.yml",
    "alertmanager": "/etc/alertmanager/alertmanager.yml",
    "nginx": "/etc/nginx/nginx.conf",
}
FAULTS = {
    "prometheus": r"FAILED: parsing YAML file /etc/prometheus/prometheus\.yml: yaml: line [0-9]+: ",
    "alertmanager": r"Checking '/etc/alertmanager/alertmanager\.yml' +FAILED: yaml: line [0-9]+: ",
    "nginx": r'\[emerg\] .*unexpected "\{" in /etc/nginx/nginx\.conf:[0-9]+',
}
"""The one line in each unit's log that says which file is wrong, and where and how."""

STARTS = 4


@pytest.fixture(scope="module")
def broken(server: Server) -> Server:
    """A server on which three files were broken and their services restarted, when that has come to its end."""
    for unit, path in FILES.items():
        server.machine.succeed(f"printf '\\n{{ broken: [\\n' >> {path}")
        server.machine.fail(["systemctl", "restart", unit])
    for unit in FILES:
        server.machine.wait_until_succeeds(["systemctl", "is-failed", unit])
    return server


@pytest.mark.parametrize("unit", FILES)
def test_the_unit_fails_with_one_clear_line_and_stays_down(broken: Server, unit: str) -> None:
    found = broken.document("logs", unit, "--grep", FAULTS[unit])["lines"]
    assert 1 <= len(found) <= STARTS, "the checker's word, once for each start"
    since = time.time()
    time.sleep(3)  # longer than the pause before a restart
    assert broken.machine.unit_property(unit, "ActiveState") == "failed"
    assert [line for line in broken.document("logs", unit)["lines"] if line["time"] > since] == [], "it is quiet"


def test_the_others_go_on(broken: Server) -> None:
    for unit in ("node-exporter", "blackbox-exporter"):
        assert broken.machine.unit_property(unit, "ActiveState") == "active"
        assert broken.machine.unit_property(unit, "NRestarts") == "0"


def test_drift_and_health_name_it_and_apply_heals_it(broken: Server) -> None:
    drift = {(item["kind"], item["subject"]) for item in broken.document("drift", code=1)["drift"]}
    files = {("file-changed", path.removeprefix("/")) for path in FILES.values()}
    assert drift == files | {("unit-failed", unit) for unit in FILES}
    health = broken.exits(1, "health", "--quiet")
    assert health.stdout.count("FAILED: parsing YAML file /etc/prometheus/prometheus.yml") <= STARTS, "shown once"
    assert "Gate 'all units are running' is red: unit" in health.stderr
    assert "observability logs alertmanager" in health.stderr

    healed = broken.apply()
    assert healed["outcome"] == "committed"
    assert {unit["unit"] for unit in healed["units"] if unit["action"] != "none"} == set(FILES)
    assert broken.succeed("drift").stdout.startswith("mon-1: no drift")
    assert broken.document("health")["healthy"] is True


def test_a_broken_edit_that_is_only_reloaded_changes_nothing_that_runs(broken: Server) -> None:
    before = broken.pids()
    broken.machine.succeed("printf '\\n{ broken: [\\n' >> /etc/prometheus/prometheus.yml; systemctl reload prometheus")
    broken.machine.wait_until_succeeds("curl -sS 127.0.0.1:9090/metrics | grep 'last_reload_successful 0'")
    assert broken.query("up{job='prometheus'}")[0]["value"][1] == "1"
    healed = {unit["unit"]: unit["action"] for unit in broken.apply()["units"]}
    assert healed["prometheus"] == "reload"
    assert broken.query("prometheus_config_last_reload_successful")[0]["value"][1] == "1"
    assert broken.pids() == before
