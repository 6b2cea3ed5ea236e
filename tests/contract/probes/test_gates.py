"""Each gate against the real programs: green when the thing works, red when it is broken, never the other way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from contract.probes.stack import DIGEST, HOST, PASSWORD, Stack, write_certificates
from obstack.agent import wire
from obstack.agent.gate import demanded_targets, run_gates, watched_hosts

pytestmark = pytest.mark.contract


def assert_green(result: wire.GateResult) -> None:
    assert result.passed, f"{result.message}\n{result.evidence}"


def assert_red(result: wire.GateResult, *words: str) -> None:
    assert not result.passed, result.message
    for word in words:
        assert word in result.message


@contextmanager
def stopped(stack: Stack, unit: str) -> Iterator[None]:
    stack.manager.stop(stack.units[unit])
    try:
        yield
    finally:
        stack.manager.start(stack.units[unit])


@contextmanager
def prometheus_with(stack: Stack, **options: Any) -> Iterator[None]:
    stack.write_prometheus(**options)
    stack.manager.reload(stack.units["prometheus"])
    try:
        yield
    finally:
        stack.write_prometheus()
        stack.manager.reload(stack.units["prometheus"])
        assert_green(configuration(stack))


def configuration(stack: Stack, digest: str = DIGEST, deadline_s: int = 10) -> wire.GateResult:
    params = {"url": stack.url("prometheus"), "digest": digest}
    return stack.gate("prometheus-configuration", params, deadline_s=deadline_s)


def target(stack: Stack, job: str, name: str, unit: str) -> dict[str, str]:
    return {"job": job, "instance": f"127.0.0.1:{stack.port[name]}", "unit": unit}


def targets(stack: Stack, *expected: dict[str, str], **options: Any) -> wire.GateResult:
    return stack.gate("prometheus-targets", {"url": stack.url("prometheus"), "targets": list(expected)}, **options)


def test_http_is_green_for_the_status_and_text_asked_for_and_red_otherwise(stack: Stack) -> None:
    url = f"{stack.url('node')}/metrics"
    assert_green(stack.gate("http", {"url": url, "status": 200, "contains": "node_cpu_seconds_total"}))
    assert_red(stack.gate("http", {"url": url, "status": 200, "contains": "no such text"}, deadline_s=1), "without")
    assert_red(stack.gate("http", {"url": f"{stack.url('prometheus')}/none/", "status": 200}, deadline_s=1), "404")
    assert_red(stack.gate("http", {"url": stack.url("nobody"), "status": 200}, deadline_s=1), "connection refused")


def test_ready_needs_the_program_itself(stack: Stack) -> None:
    assert_green(stack.gate("prometheus-ready", {"url": stack.url("prometheus")}))
    assert_green(stack.gate("alertmanager-ready", {"url": stack.url("alertmanager")}))
    assert_red(stack.gate("prometheus-ready", {"url": stack.url("nobody")}, deadline_s=1), "connection refused")
    assert_red(stack.gate("prometheus-ready", {"url": stack.url("node")}, deadline_s=1), "is not Prometheus")
    assert_red(stack.gate("alertmanager-ready", {"url": stack.url("node")}, deadline_s=1), "is not Alertmanager")
    assert_red(stack.gate("alertmanager-ready", {"url": stack.url("nobody")}, deadline_s=1), "connection refused")


def test_prometheus_must_run_the_configuration_of_this_generation(stack: Stack) -> None:
    assert_green(configuration(stack))
    assert_red(configuration(stack, "e" * 64, 1), "has not loaded configuration eeeeeeeeeeee")
    stack.write_prometheus(digest="e" * 64)
    assert_red(configuration(stack, "e" * 64, 1), "has not loaded")  # written, but never reloaded
    with prometheus_with(stack, digest="e" * 64):
        assert_green(configuration(stack, "e" * 64))


def test_a_configuration_that_prometheus_refuses_is_red_although_it_goes_on(stack: Stack) -> None:
    with prometheus_with(stack, digest="f" * 64, valid=False):
        assert_red(configuration(stack, "f" * 64, 2), "refused its new configuration")


def test_a_rule_that_cannot_be_evaluated_is_red(stack: Stack) -> None:
    params = {"url": stack.url("prometheus")}
    assert_green(stack.gate("prometheus-rules", params))
    with prometheus_with(stack, rule="up + on() group_left() up"):
        assert_red(stack.gate("prometheus-rules", params, deadline_s=3), "rule other:rule", "fails")


def test_prometheus_must_know_its_alertmanagers_and_they_must_answer(stack: Stack) -> None:
    address = f"127.0.0.1:{stack.port['alertmanager']}"
    params = {"url": stack.url("prometheus"), "addresses": [address]}
    assert_green(stack.gate("prometheus-alertmanagers", params))
    two = params | {"addresses": [address, "web-1:9093"]}
    assert_red(stack.gate("prometheus-alertmanagers", two, deadline_s=1), f"to {address}, not to {address}, web-1:9093")
    assert_red(stack.gate("prometheus-alertmanagers", params | {"addresses": ["web-1:9093"]}, deadline_s=1), "not to")
    with stopped(stack, "alertmanager"):
        assert_red(stack.gate("prometheus-alertmanagers", params, deadline_s=1), "connection refused")


def test_targets_must_be_known_and_up(stack: Stack) -> None:
    node = target(stack, "node-exporter", "node", "node-exporter")
    assert_green(targets(stack, node, target(stack, "prometheus", "prometheus", "prometheus")))
    unknown = {"job": "node-exporter", "instance": "web-1:9100", "unit": ""}
    assert_red(targets(stack, node, unknown, deadline_s=1), "web-1:9100 is not known")
    with stopped(stack, "node-exporter"):
        time.sleep(1.5)  # until the next scrape Prometheus believes the last one
        result = targets(stack, node, deadline_s=3)
        assert_red(result, f"127.0.0.1:{stack.port['node']} is down", "connection refused")
    assert_green(targets(stack, node))


def test_a_target_of_another_machine_that_is_down_counts_only_where_it_is_demanded(stack: Stack) -> None:
    own = target(stack, "prometheus", "prometheus", "prometheus")
    other = target(stack, "node-exporter", "node", "")
    gate = wire.GateEntry(
        "the gate", "prometheus-targets", "prometheus", {"url": stack.url("prometheus"), "targets": [own, other]}, 3
    )
    manifest = replace(stack.context({}).manifest, gates=(gate,))
    without = replace(manifest, gates=(replace(gate, params=gate.params | {"targets": [own]}),))
    key = (other["job"], other["instance"])
    assert_green(targets(stack, own, other))
    assert demanded_targets(manifest, manifest) == {key}, "it is up: a change must not lose it"
    with stopped(stack, "node-exporter"):
        time.sleep(1.5)  # until the next scrape Prometheus believes the last one
        assert_green(result := targets(stack, own, other))
        assert result.message.startswith(f"1 targets are up; not of this stack: target node-exporter {key[1]} is down")
        (result,) = run_gates([gate], replace(stack.context({}), demanded=frozenset({key})))
        assert_red(result, "is down")
        assert demanded_targets(manifest, manifest) == set(), "it was down before"
        assert demanded_targets(without, manifest) == {key}, "it is new"
        assert demanded_targets(None, manifest) == {key}
        of_host = replace(gate, params=gate.params | {"targets": [own, other | {"host": "web-1"}]})
        watching = replace(manifest, gates=(of_host,))
        assert demanded_targets(without, watching, ["web-2"]) == {key}
        assert demanded_targets(without, watching, watched_hosts(watching)) == set(), "its host was not proven"
    assert_green(targets(stack, target(stack, "node-exporter", "node", "node-exporter")))


def test_a_scrape_from_before_the_act_does_not_count(stack: Stack) -> None:
    node = target(stack, "node-exporter", "node", "node-exporter")
    assert_green(targets(stack, node))
    assert_red(targets(stack, node, acted={"node-exporter": time.time() + 60}, deadline_s=1), "was not scraped since")
    assert_red(targets(stack, node, acted={"prometheus": time.time() + 60}, deadline_s=1), "was not scraped since")
    assert_green(targets(stack, node, acted={"alertmanager": time.time() + 60}))
    now = time.time()
    result = targets(stack, node, acted={"node-exporter": now})
    assert_green(result)


def test_a_metric_must_have_samples(stack: Stack) -> None:
    query = {"url": stack.url("prometheus"), "query": 'node_uname_info{job="node-exporter"}'}
    assert_green(stack.gate("metric", query))
    assert_red(stack.gate("metric", query | {"query": "no_such_metric"}, deadline_s=1), "has no result")
    assert_red(stack.gate("metric", query | {"query": "((("}, deadline_s=1), "400")


def test_alertmanager_must_run_the_file_of_the_tree(stack: Stack) -> None:
    params = {"url": stack.url("alertmanager"), "file": "etc/alertmanager.yml"}
    unit = stack.units["alertmanager"]
    assert_green(stack.gate("alertmanager-configuration", params))
    stack.write_alertmanager(group_wait="2s")
    assert_red(stack.gate("alertmanager-configuration", params, deadline_s=1), "has not loaded")
    stack.manager.reload(unit)
    assert_green(stack.gate("alertmanager-configuration", params))


def test_an_alert_must_be_listed_and_end(stack: Stack) -> None:
    params = {"url": stack.url("alertmanager")}
    assert_green(stack.gate("alertmanager-alert", params))
    assert_red(stack.gate("alertmanager-alert", {"url": stack.url("nobody")}, deadline_s=1), "connection refused")
    # Both answer, but take no alerts.
    assert_red(stack.gate("alertmanager-alert", {"url": stack.url("node")}, deadline_s=1), "did not answer with JSON")
    assert_red(stack.gate("alertmanager-alert", {"url": stack.url("prometheus")}, deadline_s=1), "answered 404")


def door(stack: Stack, **other: Any) -> dict[str, Any]:
    return {
        "address": "127.0.0.1",
        "https_port": stack.port["https"],
        "http_port": stack.port["http"],
        "host": HOST,
        "authority": "etc/nginx/authority.pem",
        "credentials": "etc/nginx/credentials",
        "paths": ["/prometheus/-/ready", "/alertmanager/-/ready"],
        "digest": DIGEST,
    } | other


@contextmanager
def nginx_with(stack: Stack, **options: Any) -> Iterator[None]:
    stack.write_nginx(**options)
    stack.manager.reload(stack.units["nginx"])
    try:
        yield
    finally:
        stack.write_nginx()
        stack.manager.reload(stack.units["nginx"])


def test_the_front_door_lets_in_whom_it_should_and_nobody_else(stack: Stack) -> None:
    assert_green(stack.gate("front-door", door(stack), unit="nginx"))
    with nginx_with(stack, guarded=False, digest="open"):
        params = door(stack, digest="open")
        assert_red(stack.gate("front-door", params, unit="nginx", deadline_s=2), "wrong password answered 200")
    wrong = stack.tree / "etc/nginx/wrong"
    wrong.write_text("gate:not the password\n")
    result = stack.gate("front-door", door(stack, credentials="etc/nginx/wrong"), unit="nginx", deadline_s=1)
    assert_red(result, "answered 401, not 200")
    assert "not the password" not in result.message + result.evidence


def test_the_front_door_must_refuse_changes_to_an_account_that_only_reads(stack: Stack) -> None:
    params = door(stack, refused=["/alertmanager/api/v2/silences"])
    assert_red(stack.gate("front-door", params, unit="nginx", deadline_s=1), "by an account that only reads answered")


def test_the_front_door_must_redirect_to_https(stack: Stack) -> None:
    for redirect in ("return 200 open;", "return 302 https://$host$request_uri;", "return 308 http://$host/;"):
        with nginx_with(stack, redirect=redirect, digest="elsewhere"):
            result = stack.gate("front-door", door(stack, digest="elsewhere"), unit="nginx", deadline_s=2)
            assert_red(result, "not a redirect to HTTPS")


def test_a_configuration_that_nginx_cannot_load_is_red_although_it_goes_on(stack: Stack) -> None:
    taken = f"server {{ listen 127.0.0.1:{stack.port['prometheus']}; }}"
    with nginx_with(stack, digest="taken", more=taken):
        result = stack.gate("front-door", door(stack, digest="taken"), unit="nginx", deadline_s=2)
        assert_red(result, "nginx does not run configuration taken")
        assert "Address already in use" in result.evidence


def test_the_front_door_must_show_the_certificate_of_our_authority(stack: Stack) -> None:
    other = stack.tree / "etc/nginx/other"
    other.mkdir(exist_ok=True)
    write_certificates(other)
    params = door(stack, authority="etc/nginx/other/authority.pem")
    assert_red(stack.gate("front-door", params, unit="nginx", deadline_s=1), "is not accepted")
    params = door(stack, host="web-1.example.org")
    assert_red(stack.gate("front-door", params, unit="nginx", deadline_s=1), "is not accepted")


def test_the_front_door_needs_each_backend(stack: Stack) -> None:
    with stopped(stack, "alertmanager"):
        result = stack.gate("front-door", door(stack), unit="nginx", deadline_s=1)
        assert_red(result, "/alertmanager/-/ready", "answered 502", "unit alertmanager is inactive")


def test_a_line_must_come_back_from_the_journal(stack: Stack) -> None:
    params = stack.journalctl()
    assert_green(stack.gate("log-line", params, unit="journal-remote"))
    empty = stack.root / "var/lib/empty"
    empty.mkdir(exist_ok=True)
    result = stack.gate("log-line", params | {"journal": str(empty)}, unit="journal-remote", deadline_s=1)
    assert_red(result, "does not find it")
    result = stack.gate("log-line", params | {"endpoint": stack.url("nobody")}, unit="journal-remote", deadline_s=1)
    assert_red(result, "connection refused")


def test_units_must_run_and_have_settled_after_an_act(stack: Stack) -> None:
    assert_green(stack.gate("units-active", {}))
    unit = stack.units["blackbox-exporter"]
    stack.manager.restart(unit)
    began = time.monotonic()
    assert_green(stack.gate("units-active", {}, acted={unit.name: time.time()}))
    assert time.monotonic() - began > 1
    with stopped(stack, "blackbox-exporter"):
        assert_red(stack.gate("units-active", {}, deadline_s=1), "unit blackbox-exporter is inactive")


def test_a_failed_unit_makes_pending_gates_red_at_once_and_shows_its_log(stack: Stack) -> None:
    broken = stack.define(
        "broken", ["/bin/sh", "-c", "echo port 9090 is taken; exit 3"], startsecs="1", startretries="0"
    )
    healthy = dict(stack.units)
    try:
        with pytest.raises(Exception, match="did not start"):
            stack.manager.start(broken)
        stack.units["broken"] = broken
        began = time.monotonic()
        gates = [
            wire.GateEntry("never", "http", "prometheus", {"url": stack.url("nobody"), "status": 200}, 60),
            wire.GateEntry("ready", "prometheus-ready", "prometheus", {"url": stack.url("prometheus")}, 60),
            wire.GateEntry("units", "units-active", "", {}, 60),
        ]
        never, ready, units = run_gates(gates, stack.context({}))
        assert time.monotonic() - began < 3
        assert_red(never, "connection refused", "unit broken is failed")
        assert "port 9090 is taken" in never.evidence
        assert_green(ready)
        assert_red(units, "unit broken is failed")
    finally:
        stack.units = healthy


def test_a_unit_that_is_killed_while_gates_wait_makes_them_red(stack: Stack) -> None:
    looping = stack.define("looping", ["/bin/sh", "-c", "sleep 1; exit 1"], autorestart="true")
    healthy = dict(stack.units)
    try:
        stack.manager.start(looping)
        stack.units["looping"] = looping
        began = time.monotonic()
        gate = wire.GateEntry("never", "http", "prometheus", {"url": stack.url("nobody"), "status": 200}, 60)
        units = wire.GateEntry("units", "units-active", "", {}, 60)
        never, active = run_gates([gate, units], stack.context({"looping": time.time()}))
        assert time.monotonic() - began < 8
        assert_red(never, "looping")
        assert_red(active, "looping")
    finally:
        stack.units = healthy
        stack.manager.stop(looping)


def test_an_interrupt_ends_the_waiting(stack: Stack) -> None:
    gate = wire.GateEntry("never", "http", "", {"url": stack.url("nobody"), "status": 200}, 60)
    context = stack.context({})
    began = time.monotonic()
    cancelled = type(context)(
        context.root, context.tree, context.manifest, context.manager, cancelled=lambda: time.monotonic() > began + 0.5
    )
    (result,) = run_gates([gate], cancelled)
    assert time.monotonic() - began < 3
    assert_red(result, "interrupted")


def test_no_secret_gets_into_evidence(stack: Stack) -> None:
    result = stack.gate("front-door", door(stack, paths=["/none"]), unit="nginx", deadline_s=1)
    assert_red(result, "/none")
    assert PASSWORD not in result.message + result.evidence
