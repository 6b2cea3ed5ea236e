"""Gates of Prometheus: ready, its configuration is the new one, rules evaluate, targets are really scraped."""

from __future__ import annotations

import contextlib
import datetime
import re
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from obstack.agent import wire
from obstack.agent.gate_probe import GateContext, Probe, Red, TargetKey, expect, fetch, fetch_json, fetch_metric

READY = b"Prometheus Server is Ready"
TARGETS_TIMEOUT_S = 20.0
"""Describing the targets of ten thousand hosts takes Prometheus some seconds."""
TOLD = 10
"""So many machines that are down are named; a fleet may have hundreds."""
CONFIGURATION_RULE = "observability_configuration_info"


def ready(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001 - the form of all makers
    """`prometheus-ready` {url}: the write-ahead log is replayed and queries are served."""
    url = f"{gate.params['url']}/-/ready"

    def probe() -> str:
        answer = expect(fetch(url), 200, f"GET {url}")
        if READY not in answer.body:
            # Exporters answer 200 to every path; a stranger on the port must not pass.
            raise Red(f"what answers GET {url} is not Prometheus", answer.excerpt())
        return "Prometheus is ready"

    return probe


def configuration(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001
    """`prometheus-configuration` {url, digest}: the rule that carries the digest is loaded, and no reload failed."""
    url, digest = str(gate.params["url"]), str(gate.params["digest"])

    def probe() -> str:
        if fetch_metric(url, "prometheus_config_last_reload_successful") != 1:
            raise Red("Prometheus refused its new configuration and goes on with the old one")
        _demand_loaded(_groups(url), digest)
        return f"Prometheus runs configuration {digest[:12]}"

    return probe


def _demand_loaded(groups: Sequence[Mapping[str, Any]], digest: str) -> None:
    found = [
        str(rule.get("labels", {}).get("digest"))
        for group in groups
        for rule in group.get("rules", [])
        if rule.get("name") == CONFIGURATION_RULE
    ]
    if found != [digest]:
        loaded = ", ".join(value[:12] for value in found) or "none"
        raise Red(f"Prometheus has not loaded configuration {digest[:12]} (loaded: {loaded})")


def _expected_digest(url: str, context: GateContext) -> str:
    """Return the configuration that the generation wants loaded at this place; empty when no gate of it says."""
    digests = (
        str(gate.params["digest"])
        for gate in context.manifest.gates
        if gate.kind == "prometheus-configuration" and gate.params.get("url") == url
    )
    return next(digests, "")


def rules(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`prometheus-rules` {url}: rule groups are loaded and every rule was evaluated without error.

    A group whose interval is longer than the gate's deadline need not have been evaluated yet. Prometheus goes on with
    its old rules until it has taken a signal to reload, so they only count with this generation's configuration.
    """
    url, deadline_s = str(gate.params["url"]), gate.deadline_s
    digest = _expected_digest(url, context)

    def probe() -> str:
        groups = _groups(url)
        if digest:
            _demand_loaded(groups, digest)
        problems = [text for group in groups for text in _rule_problems(group, deadline_s)]
        if problems:
            raise Red(f"{len(problems)} rules are not well: {problems[0]}", "\n".join(problems[:20]))
        if not groups:
            raise Red("Prometheus has no rules loaded")
        return f"{sum(len(group['rules']) for group in groups)} rules in {len(groups)} groups evaluate"

    return probe


def alertmanagers(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001
    """`prometheus-alertmanagers` {url, addresses}: exactly these are known, and each answers where alerts are sent.

    Their number would not do: after a reload Prometheus knows the old ones for some seconds more.
    """
    url, expected = str(gate.params["url"]), sorted(str(address) for address in gate.params["addresses"])

    def probe() -> str:
        data = _data(f"{url}/api/v1/alertmanagers")
        places = [str(item["url"]) for item in data["activeAlertmanagers"]]
        known = sorted(urllib.parse.urlsplit(place).netloc for place in places)
        if known != expected:
            raise Red(f"Prometheus sends alerts to {', '.join(known) or 'nobody'}, not to {', '.join(expected)}")
        for place in places:
            # Prometheus lists what it was configured with, whether or not anything answers there.
            answer = fetch(place)
            if answer.status not in (200, 401, 403):
                raise Red(f"Alertmanager at {place} answered {answer.status}", answer.excerpt())
        return f"Prometheus sends alerts to {', '.join(known)}"

    return probe


def targets(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`prometheus-targets` {url, targets: [{job, instance, unit, host?}]}: each target is active, and up.

    Where the target's unit or Prometheus itself was acted on in this run, the last scrape must be later than that. A
    target without unit is another machine's: it must be up only if the context demands it, and is told otherwise. That
    a monitored machine is down must neither stop a change nor fail the way back: it is what alerts are for.
    """
    url, expected = str(gate.params["url"]), list(gate.params["targets"])
    digest = _expected_digest(url, context)

    def probe() -> str:
        if digest:
            # The scrape that follows the act must be one of this configuration, not of the one before it.
            _demand_loaded(_groups(url), digest)
        active: dict[TargetKey, list[Mapping[str, Any]]] = {}
        for found in _active(url):
            active.setdefault(_key(found["labels"]), []).append(found)
        problems: list[str] = []
        tolerated: list[str] = []
        for target in expected:
            known = active.get(_key(target), [])
            if problem := _target_problem(target, known, gate.unit, context):
                others = known and not target.get("unit") and _key(target) not in context.demanded
                (tolerated if others else problems).append(problem)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise Red(f"{problems[0]}{more}", "\n".join(problems[:50]))
        told = [*tolerated[:TOLD], *([f"and {len(tolerated) - TOLD} more"] if len(tolerated) > TOLD else [])]
        note = f"; not of this stack: {'; '.join(told)}" if tolerated else ""
        return f"{len(expected) - len(tolerated)} targets are up{note}"

    return probe


def demanded_targets(
    old: wire.Manifest | None, new: wire.Manifest, unproven: Collection[str] = ()
) -> frozenset[TargetKey]:
    """Return the targets of other machines that must be up after a change from `old` to `new`, by job and instance.

    Those are the ones that are new, and the ones that Prometheus sees up now: the change must not have lost them. What
    is of a host that is `unproven` is not among them: this run has not shown that the host serves anything.
    """
    before = _others(old) if old else {}
    up: set[TargetKey] = set()
    for url in {url for urls in before.values() for url in urls}:
        # Nobody can say what was up when Prometheus does not answer; then nothing of before is demanded.
        with contextlib.suppress(Red):
            up |= {_key(target["labels"]) for target in _active(url) if target["health"] == "up"}
    return frozenset(key for key in _others(new, unproven) if key not in before or key in up)


def watched_hosts(manifest: wire.Manifest) -> frozenset[str]:
    """Return the monitored hosts that the gates of a generation expect targets of."""
    return frozenset(
        str(target["host"])
        for gate in manifest.gates
        if gate.kind == "prometheus-targets"
        for target in gate.params["targets"]
        if target.get("host")
    )


def _others(manifest: wire.Manifest, unproven: Collection[str] = ()) -> dict[TargetKey, set[str]]:
    """Return the targets without unit that the manifest's gates expect, each with the places to ask about it."""
    found: dict[TargetKey, set[str]] = {}
    for gate in manifest.gates:
        if gate.kind == "prometheus-targets":
            for target in gate.params["targets"]:
                if not target.get("unit") and target.get("host") not in unproven:
                    found.setdefault(_key(target), set()).add(str(gate.params["url"]))
    return found


def _key(labels: Mapping[str, Any]) -> TargetKey:
    return str(labels.get("job")), str(labels.get("instance"))


def metric(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001
    """`metric` {url, query}: the instant query answers with at least one sample."""
    url, query = str(gate.params["url"]), str(gate.params["query"])

    def probe() -> str:
        result = _data(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}")["result"]
        if not result:
            raise Red(f"the query {query} has no result")
        return f"the query {query} has an answer"

    return probe


def parse_time(text: str) -> float:
    """Given a time as Go writes it (nanoseconds, `Z` or an offset), return it as unix time; 0 when it is none."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if match is None:
        return 0.0
    moment = datetime.datetime.fromisoformat(match[1] + ("+00:00" if match[3] == "Z" else match[3]))
    return moment.timestamp() + float(match[2] or 0)


def _active(url: str) -> list[Mapping[str, Any]]:
    return list(_data(f"{url}/api/v1/targets?state=active", TARGETS_TIMEOUT_S)["activeTargets"])


def _data(url: str, timeout_s: float = 0.0) -> Any:
    answer = fetch_json(url, f"GET {url}", timeout_s)
    if not isinstance(answer, dict) or answer.get("status") != "success" or "data" not in answer:
        raise Red(f"GET {url} did not succeed", str(answer)[:1024])
    return answer["data"]


def _groups(url: str) -> list[dict[str, Any]]:
    return list(_data(f"{url}/api/v1/rules").get("groups") or [])


def _rule_problems(group: Mapping[str, Any], deadline_s: float) -> list[str]:
    problems = []
    for rule in group.get("rules", []):
        where = f"rule {rule.get('name')} of group {group.get('name')}"
        health = rule.get("health")
        if health == "ok" or (health == "unknown" and float(group.get("interval") or 0) > deadline_s):
            continue
        if health == "unknown":
            problems.append(f"{where} was not evaluated yet")
        else:
            problems.append(f"{where} fails: {rule.get('lastError') or health}")
    return problems


def _target_problem(
    expected: Mapping[str, Any], found: Sequence[Mapping[str, Any]], prometheus: str, context: GateContext
) -> str:
    name = f"target {expected['job']} {expected['instance']}"
    if not found:
        return f"{name} is not known to Prometheus"
    acts = [context.acted[unit] for unit in (prometheus, expected.get("unit", "")) if unit in context.acted]
    for target in found:
        if target["health"] == "down":
            return f"{name} is down: {target.get('lastError') or 'no reason given'}"
        if target["health"] != "up":
            return f"{name} was not scraped yet"
        if acts and parse_time(str(target["lastScrape"])) <= max(acts):
            return f"{name} was not scraped since its unit was acted on"
    return ""
