"""A change acts on what it concerns and on nothing else, and the plan says so beforehand."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from machine.server import FOLDER, UNITS, Server

pytestmark = pytest.mark.machine

SECRET = "violet-orbit-cactus-lantern-41"
STRANGER = "127.0.0.1:9100"
"""A target that answers: the node exporter, scraped a second time under another job's name."""

WEB = {"targets": [{"job": "web", "addresses": ["127.0.0.1:9093"]}]}
BOTH = {"targets": [{"job": "web", "addresses": ["127.0.0.1:9093", STRANGER]}]}
PROBES = [{"name": "own-door", "kind": "tcp", "target": "127.0.0.1:443"}]
USERS = [{"name": "viewer", "password": "secret:viewer-password"}]

CHANGES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a flag of Prometheus": ({"prometheus": {"retention_time": "10d"}}, {"prometheus": "restart"}),
    "an external label": ({"prometheus": {"external_labels": {"region": "eu"}}}, {"prometheus": "reload"}),
    "a new job, and rules for it": ({"prometheus": WEB}, {"prometheus": "reload"}),
    "an address of a job": ({"prometheus": BOTH}, {}),
    "a probe": ({"blackbox": {"probes": PROBES}}, {"prometheus": "reload"}),
    "a route": ({"alertmanager": {"group_wait": "10s"}}, {"alertmanager": "reload"}),
    "a user of the front door": ({"front_door": {"users": USERS}}, {"nginx": "reload"}),
    "a port of the front door": (
        {"front_door": {"http_port": 8080}},
        {"nginx": "reload", "observability-firewall": "reload"},
    ),
    "the journal's size": ({"logs": {"retention_size": "1GB"}}, {"systemd-journald": "restart"}),
    "a port that others use": ({"blackbox": {"port": 9116}}, {"blackbox-exporter": "restart", "prometheus": "reload"}),
    "a limit of Alertmanager": ({"alertmanager": {"memory_max": "256MB"}}, {"alertmanager": "restart"}),
}
"""What is changed, each on top of those before it, and what must happen to which unit; nothing to any other."""


def acting(units: list[dict[str, str]]) -> dict[str, str]:
    """What is done to which unit."""
    return {unit["unit"]: unit["action"] for unit in units if unit["action"] != "none"}


def test_a_change_acts_on_what_it_concerns_and_the_plan_says_so(server: Server) -> None:
    server.machine.write(f"{FOLDER}/config/secrets/viewer-password", f"{SECRET}\n", 0o600)
    settings: dict[str, Any] = {}
    acted, restarted = {}, {}
    before = server.pids()
    for name, (sections, _) in CHANGES.items():
        for section, values in sections.items():
            settings[section] = {**settings.get(section, {}), **values}
        server.configure(**settings)
        plan, applied = server.document("plan"), server.apply()
        assert (applied["units"], applied["generation"]) == (plan["units"], plan["generation"]), name
        acted[name] = acting(applied["units"])
        after = server.pids()
        restarted[name] = {unit for unit in UNITS if after[unit] != before[unit]}
        before = after

    assert acted == {name: actions for name, (_, actions) in CHANGES.items()}
    assert restarted == {
        name: {unit for unit in UNITS if actions.get(unit) == "restart"} for name, (_, actions) in CHANGES.items()
    }


def test_a_new_address_is_scraped_though_nothing_was_reloaded(server: Server) -> None:
    server.configure(prometheus=WEB)
    server.apply()
    loads = server.query("prometheus_config_last_reload_success_timestamp_seconds")[0]["value"][1]
    server.configure(prometheus={"targets": [{"job": "web", "addresses": [STRANGER], "labels": {"team": "shop"}}]})
    assert acting(server.apply()["units"]) == {}
    (series,) = server.query('up{job="web",team="shop"}')
    assert (series["metric"]["instance"], series["value"][1]) == (STRANGER, "1"), "the gate has waited for it"
    assert server.query("prometheus_config_last_reload_success_timestamp_seconds")[0]["value"][1] == loads


def test_a_plan_shows_the_change_hides_secrets_and_touches_nothing(server: Server) -> None:
    server.configure()
    server.apply()
    server.machine.write(f"{FOLDER}/config/secrets/smtp-password", f"{SECRET}\n", 0o600)
    server.machine.write(f"{FOLDER}/config/secrets/admin-password", f"{SECRET}\n", 0o600)
    smtp = {"host": "mail.example.org", "sender": "alerts@example.org", "username": "alerts"}
    server.configure(
        prometheus={"external_labels": {"region": "eu"}},
        alertmanager={
            "smtp": {**smtp, "password": "secret:smtp-password"},
            "receivers": [{"name": "operators", "email": ["ops@example.org"]}],
            "default_receiver": "operators",
        },
    )
    pids, traces = server.pids(), server.traces()
    shown = server.succeed("plan", "--verbose", "--quiet").stdout
    document = server.document("plan")
    assert "+    region: eu" in shown
    assert "+ etc/alertmanager/secrets/smtp-password  (secret, content not shown)" in shown
    assert "~ etc/nginx/htpasswd  (secret, content not shown)" in shown
    assert re.search(r"^  reload +prometheus +etc/prometheus/prometheus.yml changed$", shown, re.MULTILINE)
    for text in (shown, json.dumps(document)):
        assert SECRET not in text
        assert "$2b$" not in text, "not even the hash"
    assert (server.pids(), server.traces()) == (pids, traces)


def test_an_environment_is_laid_over_the_base(server: Server) -> None:
    server.configure()
    overlay = {"environment": "staging", "prometheus": {"external_labels": {"tier": "two"}}}
    server.machine.write(f"{FOLDER}/config/environments/staging.yaml", json.dumps(overlay))
    applied = server.document("apply", "--yes", "--environment", "staging")
    assert acting(applied["units"])["prometheus"] == "reload"
    server.wait_for_series('up{job="prometheus",environment="staging"}')
    loaded = server.prometheus("status/config")["yaml"]
    assert "tier: two" in loaded
    assert "scrape_interval: 2s" in loaded, "what the overlay does not name stays"
    shown = server.succeed("config", "show", "--environment", "staging", "--origin").stdout
    assert "environments/staging.yaml" in shown
    assert server.document("apply", "--yes", "--environment", "staging")["outcome"] == "unchanged"


def test_an_alert_that_prometheus_fires_reaches_alertmanager_after_all_that(server: Server) -> None:
    # Prometheus repeats an alert each minute; what it sends before it knows Alertmanager is lost.
    server.machine.wait_until_succeeds(
        "curl -sS 127.0.0.1:9093/api/v2/alerts | grep Watchdog", timeout_s=75, interval_s=1
    )
    assert server.alerts()["Watchdog"]["status"]["state"] == "active"
