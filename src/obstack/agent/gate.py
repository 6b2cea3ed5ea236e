"""The gates: semantic probes that must pass before a generation is committed.

All gates of a run are tried at once, each again and again until it is green or its deadline has passed, with one last
try at the deadline. A unit that has failed ends the waiting at once: every gate gets the try it is in, and what is red
then stays red. The kinds and their parameters are in the table `PROBES`; each probe documents its own.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Sequence

from obstack.agent import (
    gate_alertmanager,
    gate_exporter,
    gate_firewall,
    gate_front_door,
    gate_grafana,
    gate_journal,
    gate_prometheus,
    gate_shipping,
    wire,
)
from obstack.agent.gate_probe import GateContext, Probe, Red, Watch, bounded, expect, fetch
from obstack.agent.gate_prometheus import demanded_targets, watched_hosts
from obstack.agent.services import describe

__all__ = ["GateContext", "demanded_targets", "run_gates", "watched_hosts"]

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.5


def run_gates(gates: Sequence[wire.GateEntry], context: GateContext) -> tuple[wire.GateResult, ...]:
    """Run the gates, the active ones only when the context says so, and return their results in the order given."""
    chosen = [gate for gate in gates if context.active or not gate.active]
    if not chosen:
        return ()
    began = time.monotonic()
    with Watch(context) as watch, concurrent.futures.ThreadPoolExecutor(min(len(chosen), 16)) as pool:
        futures = [pool.submit(_pursue, gate, context, watch) for gate in chosen]
        for future in concurrent.futures.as_completed(futures):
            context.on_event(_event(future.result()))
    if watch.trouble is None and time.monotonic() - watch.looked > FIRST_PAUSE_S:
        watch.look()
    return tuple(_last_look(future.result(), watch, began, context) for future in futures)


def _last_look(result: wire.GateResult, watch: Watch, began: float, context: GateContext) -> wire.GateResult:
    # A unit may die after its own gate was green and before the slowest gate is.
    if result.kind != "units-active" or not result.passed or watch.trouble is None:
        return result
    evidence = _log(watch.trouble.unit, context)
    seconds = time.monotonic() - began
    return wire.GateResult(
        result.name, result.kind, watch.trouble.unit, False, seconds, watch.trouble.message, bounded(evidence)
    )


def _pursue(gate: wire.GateEntry, context: GateContext, watch: Watch) -> wire.GateResult:
    began = time.monotonic()
    probe = _probe(gate, context, watch)
    pause_s = FIRST_PAUSE_S
    while True:
        # Asked before the try, so that the try which follows is the last one allowed.
        trouble, cancelled = watch.trouble, context.cancelled()
        left_s = began + gate.deadline_s - time.monotonic()
        try:
            message = _tried(probe, gate)
        except Red as red:
            seconds = time.monotonic() - began
            if trouble:
                message = red.message if trouble.message in red.message else f"{red.message}; {trouble.message}"
                return _red(gate, seconds, Red(message, red.evidence), trouble.unit or gate.unit, context)
            if cancelled:
                return _red(gate, seconds, Red(f"interrupted; {red.message}", red.evidence), gate.unit, context)
            if left_s <= 0:
                return _red(
                    gate, seconds, Red(f"{red.message} (after {seconds:.0f} s)", red.evidence), gate.unit, context
                )
        else:
            return wire.GateResult(gate.name, gate.kind, gate.unit, True, time.monotonic() - began, message)
        time.sleep(max(0.0, min(pause_s, left_s)))
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)


def _tried(probe: Probe, gate: wire.GateEntry) -> str:
    """Try once. An answer of another form than the product gives, as a stranger on its port would, is a red one."""
    try:
        return probe()
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise Red(f"gate {gate.name} got an answer of an unexpected form", reason) from error


def _red(gate: wire.GateEntry, seconds: float, red: Red, unit: str, context: GateContext) -> wire.GateResult:
    parts = [part for part in (red.evidence, _log(unit, context)) if part]
    blamed = gate.unit or unit
    return wire.GateResult(gate.name, gate.kind, blamed, False, seconds, red.message, bounded("\n".join(parts)))


def _log(name: str, context: GateContext) -> str:
    for unit in context.manifest.units:
        if unit.name == name:
            return f"last lines of {name}:\n{context.manager.log(unit)}"
    return ""


def _event(result: wire.GateResult) -> wire.Event:
    data = {"gate": result.name, "unit": result.unit, "passed": result.passed, "seconds": round(result.seconds, 3)}
    text = f"{result.name}: {result.remark}" if result.remark else result.name
    return wire.Event("gate", "done" if result.passed else "failed", text, data)


# ------------------------------------------------------------------------------------------------------- probes


def _probe(gate: wire.GateEntry, context: GateContext, watch: Watch) -> Probe:
    if gate.kind == "units-active":
        return lambda: _units_active(context, watch)
    maker = PROBES.get(gate.kind)
    if maker is None:
        return lambda: _unknown_kind(gate)
    return maker(gate, context)


def _unknown_kind(gate: wire.GateEntry) -> str:
    raise Red(f"this agent knows no gate of kind {gate.kind!r}")


def _units_active(context: GateContext, watch: Watch) -> str:
    if watch.trouble:
        raise Red(watch.trouble.message)
    states = watch.states
    units = [unit for unit in context.manifest.units if unit.file and not unit.boot_only]
    idle = [describe_unit for unit in units if (describe_unit := _not_settled(unit, context, watch))]
    if idle:
        raise Red("; ".join(idle))
    return f"{len(units)} units run: {', '.join(unit.name for unit in units if unit.name in states)}"


def _not_settled(unit: wire.UnitEntry, context: GateContext, watch: Watch) -> str:
    state = watch.states[unit.name]
    if not state.running:
        return f"unit {unit.name} is {describe(state)}"
    if unit.name in context.acted and state.started_monotonic_s is not None:
        # One that starts and dies a moment later must not slip through between two looks.
        age_s = watch.looked - state.started_monotonic_s
        if age_s < context.settle_s:
            return f"unit {unit.name} has run for {age_s:.1f} s only"
    return ""


def _http(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001 - the form of all makers
    """`http` {url, status, contains?}: GET answers with the status, and the body has the text."""
    url, status, contains = str(gate.params["url"]), int(gate.params["status"]), gate.params.get("contains")

    def probe() -> str:
        answer = expect(fetch(url), status, f"GET {url}")
        if contains and str(contains).encode() not in answer.body:
            raise Red(f"GET {url} answered {status}, but without {str(contains)!r}", answer.excerpt())
        return f"GET {url} answered {status}"

    return probe


PROBES: dict[str, Callable[[wire.GateEntry, GateContext], Probe]] = {
    "http": _http,
    "prometheus-ready": gate_prometheus.ready,
    "prometheus-configuration": gate_prometheus.configuration,
    "prometheus-rules": gate_prometheus.rules,
    "prometheus-alertmanagers": gate_prometheus.alertmanagers,
    "prometheus-targets": gate_prometheus.targets,
    "metric": gate_prometheus.metric,
    "alertmanager-ready": gate_alertmanager.ready,
    "alertmanager-configuration": gate_alertmanager.configuration,
    "alertmanager-alert": gate_alertmanager.alert,
    "exporter": gate_exporter.exporter,
    "firewall": gate_firewall.in_force,
    "reachable": gate_firewall.reachable,
    "front-door": gate_front_door.front_door,
    "grafana-ready": gate_grafana.ready,
    "grafana-sources": gate_grafana.sources,
    "grafana-dashboards": gate_grafana.dashboards,
    "log-line": gate_journal.log_line,
    "journal-shipped": gate_shipping.journal_shipped,
    "journal-received": gate_shipping.journal_received,
}
