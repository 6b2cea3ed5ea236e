"""The transaction: compare, stage, check, switch, gate, commit; or back, by itself, when anything is not as it must be.

What died in between is finished by recover.py, which every request runs first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from obstack.agent import (
    audit,
    checks,
    drift,
    durable,
    foreign,
    gate,
    impact,
    outward,
    recover,
    stage,
    statedata,
    swaps,
    transition,
    wire,
)
from obstack.agent.faults import CHANGE_FAILED, CHECK_FAILED, INTERRUPTED, AgentError
from obstack.agent.machine import Machine
from obstack.agent.record import Writer


@dataclass(frozen=True)
class Comparison:
    """The machine as it was found: the generation in force, how it drifted, and what the change means for the units."""

    old: wire.Manifest | None
    drift: tuple[wire.Drift, ...]
    actions: tuple[wire.Action, ...]

    def same(self, manifest: wire.Manifest) -> bool:
        """Tell whether the machine is already what the manifest says."""
        acting = any(action.action != "none" for action in self.actions)
        return self.old is not None and self.old.identity == manifest.identity and not self.drift and not acting


def compare(machine: Machine, manifest: wire.Manifest) -> Comparison:
    """Look at the machine once. Reads only. Raises AgentError."""
    identity = machine.current()
    # The manifest on the machine may be damaged; when it is the one that was sent, that is healed like any drift.
    old = manifest if identity == manifest.identity else stage.load_current(machine)
    states = transition.states(machine, old, manifest)
    found = drift.find(machine, old, states) if old else ()
    running = transition.running(states)
    actions = impact.decide(old, manifest, found, running)
    left = recover.left_behind(machine)
    if left is not None:
        actions = impact.strongest(actions, impact.decide(left, manifest, (), running))
    return Comparison(old, found, actions)


def apply(
    machine: Machine,
    manifest: wire.Manifest,
    *,
    who: str,
    announce: Callable[[str, str], None],
    verb: str = "apply",
    unproven: Collection[str] = (),
) -> wire.Reply:
    """Make the machine run a generation and return how it ended. The caller holds the lock and has recovered.

    A machine that is as desired is not touched; otherwise `announce` is told who does what, for those who wait for
    the lock. `unproven` are monitored hosts that the gates may not be judged by. Raises AgentError only before a
    record was begun.
    """
    seen = compare(machine, manifest)
    if seen.same(manifest):
        return _unchanged(machine, manifest, seen)
    previous = seen.old.identity if seen.old else None
    announce(who, verb)
    writer = audit.begin(machine, verb=verb, previous=previous, target=manifest.identity)
    try:
        reply = _transact(machine, manifest, seen, writer, unproven)
    finally:
        writer.close()
    data = {"transaction": writer.transaction.name, "kept": statedata.kept(manifest, writer.view())}
    return replace(reply, previous=previous, drift=seen.drift, data=data)


def _unchanged(machine: Machine, manifest: wire.Manifest, seen: Comparison) -> wire.Reply:
    results = transition.run_gates(machine, manifest, {}, active=False)
    machine.interrupts.check()
    fault = None
    if transition.red(results):
        error = transition.gate_error(results, manifest.identity)
        error.exit_code, error.state = CHECK_FAILED, "nothing was changed: the machine already is as configured"
        error.what = error.what.replace(" after the switch to ", " in ")
        fault = error.fault()
    return wire.Reply("unchanged", manifest.identity, manifest.identity, seen.actions, gates=results, fault=fault)


def _transact(
    machine: Machine, manifest: wire.Manifest, seen: Comparison, writer: Writer, unproven: Collection[str]
) -> wire.Reply:
    try:
        formats = _prove(machine, manifest, seen, writer)
        demanded = gate.demanded_targets(seen.old, manifest, unproven)
        machine.interrupts.check()
        swaps.refuse(machine)
        machine.event("switch", "started", f"to {manifest.identity[:12]}")
        writer.append(
            "switching",
            previous=seen.old.identity if seen.old else None,
            target=manifest.identity,
            actions=[wire.encode(action) for action in seen.actions],
        )
    except AgentError as error:
        return _refused(machine, seen, writer, error)
    way = transition.Transition(
        machine, writer, seen.old, manifest, seen.actions, data=lambda way: statedata.carry(way, formats)
    )
    results: tuple[wire.GateResult, ...] = ()
    try:
        if seen.old is not None and seen.old.identity == manifest.identity:
            stage.mend_tree(machine, manifest, writer.transaction.aside)
        way.run()
        machine.event("switch", "done", f"{manifest.identity[:12]} is in force")
        machine.event("gate", "started", f"{len(manifest.gates)} gates")
        results = transition.run_gates(machine, manifest, way.acted, active=True, demanded=demanded)
        machine.interrupts.check()
        if transition.red(results):
            raise transition.gate_error(results, manifest.identity)
        writer.append("gated")
    except AgentError as error:
        return _back(machine, seen, way, results, error)
    machine.event("commit", "started", manifest.identity[:12])
    # Without space for the last line the run still is committed: `gated` is on disk, and the next run adds the line.
    with contextlib.suppress(AgentError):
        writer.append("committed", generation=manifest.identity)
    machine.event("commit", "done", f"{manifest.identity[:12]} is committed")
    return wire.Reply("committed", manifest.identity, None, seen.actions, gates=results)


def _prove(
    machine: Machine, manifest: wire.Manifest, seen: Comparison, writer: Writer
) -> tuple[statedata.FormatChange, ...]:
    """Everything before the switch: nothing outside the state folder changes. Raises AgentError."""
    machine.event("stage", "started", manifest.identity[:12])
    outward.refuse_conflicts(machine, manifest)
    outward.refuse_links(manifest)
    units = foreign.acted_on(manifest, seen.actions)
    if units:
        foreign.refuse(units, transition.states(machine, manifest))
    stage.contents(machine, manifest)
    healing = seen.old is not None and seen.old.identity == manifest.identity
    if healing:
        # Its own tree is in force: what it must be was checked when it was staged, and it is mended after the record.
        return ()
    tree = stage.build_tree(machine, manifest)
    machine.event("stage", "done", manifest.identity[:12])
    formats = statedata.decide(machine.paths, seen.old, manifest)
    statedata.refuse_downgrade(formats)
    statedata.refuse_mounts(formats)
    check(machine, manifest, tree, writer)
    return formats


def check(machine: Machine, manifest: wire.Manifest, tree: str, writer: Writer) -> None:
    """Let each product's own checker judge the staged tree. Raises AgentError `check-failed` with all their words."""
    machine.event("check", "started", f"{len(manifest.checks)} checkers")
    scratch = stage.free_scratch(machine, "check")
    with machine.interrupts.region():
        failures = checks.run_checks(manifest, tree, machine.paths.current, scratch, machine.manager(manifest))
    durable.remove_tree(machine.paths.scratch)
    if failures:
        detail = "\n".join(f"{failure.name}: {failure.output}".rstrip() for failure in failures)
        keep_evidence(writer, {"checks.txt": detail})
        machine.event("check", "failed", ", ".join(failure.name for failure in failures))
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="check-failed",
            what=f"The staged files were refused by: {', '.join(failure.name for failure in failures)}.",
            where=f"generation {manifest.identity[:12]}, {failures[0].name}: {failures[0].first_complaint}",
            do="correct the configuration, then run: observability apply",
            detail=detail,
        )
    machine.event("check", "done", f"{len(manifest.checks)} checkers")


def _refused(machine: Machine, seen: Comparison, writer: Writer, error: AgentError) -> wire.Reply:
    """End a run that did not get to the switch. Space is freed first: the disk may be full."""
    machine.event("stage", "failed", error.what)
    error.state = "nothing was changed" if error.state is None else error.state
    try:
        swaps.refuse(machine)
        machine.store.sweep()
        writer.append("abandoned", code=error.code)
    except AgentError as second:
        # The next run finds the record open and abandons it; what matters is the first error.
        error.detail = f"{error.detail or ''}\n{second.what}".strip()
    return wire.Reply("refused", seen.old.identity if seen.old else None, None, seen.actions, fault=error.fault())


def _back(
    machine: Machine,
    seen: Comparison,
    way: transition.Transition,
    results: tuple[wire.GateResult, ...],
    error: AgentError,
) -> wire.Reply:
    """Go back after a failed act or a red gate, and say in which of the two worlds the machine is."""
    if error.exit_code == CHECK_FAILED:
        error.exit_code = CHANGE_FAILED
    keep_evidence(way.writer, _evidence(results, error))
    touched = {entry["unit"] for entry in way.writer.entries if entry["step"] == "acting"}
    where = way.writer.transaction.folder
    previous = seen.old.identity if seen.old else None
    try:
        returned = recover.go_back(machine, way.writer, touched=touched, code=error.code)
    except AgentError as second:
        second.detail = f"{error.what}\n{second.detail or ''}".strip()
        outcome = wire.Reply("rollback-failed", machine.current(), None, seen.actions, gates=results)
        return replace(outcome, fault=second.fault())
    name = f"generation {previous[:12]}" if previous else "a machine without generation; data directories were kept"
    green = ", its gates are green" if returned.gates else ""
    error.state = f"rolled back to {name}{green}; evidence is kept in {where}"
    if error.exit_code != INTERRUPTED:
        error.exit_code = CHANGE_FAILED
    return wire.Reply("rolled-back", previous, None, seen.actions, gates=results, fault=error.fault())


def _evidence(results: tuple[wire.GateResult, ...], error: AgentError) -> dict[str, str]:
    evidence = {"error.txt": f"{error.what}\n{error.where}\n{error.detail or ''}"}
    if results:
        evidence["gates.json"] = wire.canonical([wire.encode(result) for result in results]).decode()
    return evidence


def keep_evidence(writer: Writer, texts: dict[str, str]) -> None:
    """Keep texts in the run's folder, as far as the disk takes them: the way back must not fail for evidence."""
    folder = os.path.join(writer.transaction.folder, "evidence")
    try:
        durable.make_directory(folder, 0o700)
        for name, text in texts.items():
            durable.write_file(os.path.join(folder, name), text.encode(), 0o600)
    except AgentError:
        return
