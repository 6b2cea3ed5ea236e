"""The way back, and the end of what a run that died has left.

| last words of the record           | what recovery does                                           |
|------------------------------------|--------------------------------------------------------------|
| nothing, begin                     | sweep what was being staged; `abandoned`                     |
| switching, acting, snapshot, …     | back to the previous generation, its gates; `rolled-back`    |
| gated                              | everything was proven: `committed`                           |
| rolling-back                       | the way back again from its beginning; `rolled-back`         |
| uninstalling                       | the uninstall again from its beginning; `committed`          |
| pruning                            | the prune again from its beginning; `pruned`                 |
| a terminal word                    | nothing                                                      |
"""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass

from obstack.agent import audit, durable, history, impact, record, stage, statedata, swaps, transition, uninstall, wire
from obstack.agent.faults import CHANGE_FAILED, ROLLBACK_FAILED, AgentError
from obstack.agent.machine import Machine
from obstack.agent.record import Transaction, Writer


@dataclass(frozen=True)
class Return:
    """How the way back ended: the generation that is in force now, its gates, and what was done to the units."""

    generation: str | None
    gates: tuple[wire.GateResult, ...]
    actions: tuple[wire.Action, ...]


def recover(machine: Machine, *, boot: bool = False) -> Transaction | None:
    """Finish the last run when it has not ended by itself; return it as it ended, or None when there was nothing to do.

    The caller holds the lock. With `boot` only files are seen to, and the units that the boot missed are queued.
    Raises AgentError of exit code 4 when the way back failed.
    """
    last = record.latest(machine.paths.transactions)
    if last is None or last.outcome is not None:
        return None
    machine.event("recover", "started", f"the run {last.name} did not end", transaction=last.name)
    writer = audit.reopen(machine, last, boot=boot)
    try:
        _finish(machine, writer, last, boot)
        ended = writer.view()
    finally:
        writer.close()
    machine.event("recover", "done", f"{last.name}: {ended.outcome}", transaction=last.name, outcome=ended.outcome)
    return ended


def _finish(machine: Machine, writer: Writer, last: Transaction, boot: bool) -> None:
    machine.store.sweep()
    if (entry := last.last("uninstalling")) is not None:
        uninstall.dismantle(machine, writer, purge=bool(entry["purge"]))
    elif (entry := last.last("pruning")) is not None:
        history.drop(machine, writer, entry["generations"])
    elif (entry := last.last("gated")) is not None and last.last("rolling-back") is None:
        commit(machine, writer, last)
    elif last.switched:
        go_back(machine, writer, touched=None, boot=boot)
        if boot:
            queue_units(machine)
    else:
        writer.append("abandoned", reason="the run died before the switch")


def commit(machine: Machine, writer: Writer, transaction: Transaction) -> None:
    """Make sure that the generation which passed its gates is whole, and record it as committed. Raises AgentError."""
    _, target = record.parties(transaction)
    stage.mend_tree(machine, stage.load_manifest(machine, target))
    writer.append("committed", generation=target)


def go_back(
    machine: Machine, writer: Writer, *, touched: set[str] | None, boot: bool = False, code: str = "crashed"
) -> Return:
    """Undo a switch: the previous generation, or nothing, is in force again and proven by its gates.

    `touched` are the units acted on by this very process; None means that another process died and nobody knows what
    the units have read since. `code` is of the error that is the reason. Raises AgentError `rollback-failed` with exit
    code 4; the record says so then.
    """
    with machine.interrupts.shielded():
        return _go_back(machine, writer, touched, boot, code)


def left_behind(machine: Machine) -> wire.Manifest | None:
    """Return the generation that units may still run although it is not in force; None when all is settled.

    It is that of a run whose way back failed: nobody knows which units had been acted on, until a later run has.
    """
    for transaction in record.history(machine.paths.transactions):
        if transaction.outcome == "rollback-failed":
            with contextlib.suppress(AgentError):  # one that is gone says nothing more
                return stage.load_manifest(machine, record.parties(transaction)[1])
        if transaction.outcome not in ("abandoned", "pruned"):
            return None
    return None


def _go_back(machine: Machine, writer: Writer, touched: set[str] | None, boot: bool, code: str) -> Return:
    transaction = writer.view()
    previous_id, target_id = record.parties(transaction)
    machine.event("rollback", "started", f"back to {previous_id[:12] if previous_id else 'nothing'}")
    try:
        swaps.refuse(machine)
        writer.append("rolling-back", to=previous_id)
        target = stage.load_manifest(machine, target_id)
        previous = stage.load_manifest(machine, previous_id) if previous_id else None
        if previous is not None:
            stage.mend_tree(machine, previous, transaction.aside)
        way = transition.Transition(
            machine,
            writer,
            target,
            previous,
            () if boot else _actions(machine, transaction, target, previous, touched),
            data=lambda way: statedata.carry_back(way, transaction),
            boot=boot,
            resolute=True,
        )
        way.run()
        results = () if previous is None or boot else _prove(machine, previous, way.acted)
        if previous is not None and transition.red(results):
            raise transition.gate_error(results, previous.identity)
        writer.append("rolled-back", generation=previous_id, boot=boot, code=code)
    except AgentError as error:
        raise _failed(machine, writer, error, previous_id) from error
    machine.event("rollback", "done", f"{previous_id[:12] if previous_id else 'nothing'} is in force")
    return Return(previous_id, results, way.actions)


def _prove(machine: Machine, previous: wire.Manifest, acted: dict[str, float]) -> tuple[wire.GateResult, ...]:
    return transition.run_gates(machine, previous, acted, active=True, returning=True)


def _actions(
    machine: Machine,
    transaction: Transaction,
    target: wire.Manifest,
    previous: wire.Manifest | None,
    touched: set[str] | None,
) -> tuple[wire.Action, ...]:
    running = transition.running(transition.states(machine, previous, target))
    if previous is not None and previous.identity == target.identity:
        # A healing that did not end: what it was about to do is done, again if need be.
        entry = transaction.last("switching") or {}
        planned = {action["unit"]: action["action"] for action in entry.get("actions", ())}
        settled = impact.decide(target, previous, (), running)
        return tuple(
            wire.Action(a.unit, planned[a.unit], "the healing did not end")
            if a.action == "none" and planned.get(a.unit) in ("reload", "restart")
            else a
            for a in settled
        )
    actions = impact.decide(target, previous, (), running)
    if touched is None:
        return actions
    # A unit that was never acted on still runs as the previous generation started it.
    return tuple(
        wire.Action(a.unit, "none", "it was not acted on")
        if a.unit not in touched and a.action in ("reload", "restart")
        else a
        for a in actions
    )


def _failed(machine: Machine, writer: Writer, error: AgentError, previous: str | None) -> AgentError:
    machine.event("rollback", "failed", error.what)
    try:
        writer.append("rollback-failed", code=error.code)
    except AgentError as second:
        # The record cannot be written either (a full disk): the next run finds it open and tries again.
        error.detail = f"{error.detail or ''}\n{second.what}".strip()
    name = previous[:12] if previous else "nothing"
    return AgentError(
        exit_code=ROLLBACK_FAILED,
        code="rollback-failed",
        what=f"The way back to {name} failed: {error.what}",
        where=error.where,
        do=error.do,
        state=f"the files are those of {name} as far as they could be put back; not every unit is proven to work",
        detail=error.detail,
    )


def queue_units(machine: Machine) -> None:
    """At boot: let systemd start what it has not queued because its unit file was not there. Waits for nothing.

    Raises AgentError `queue-failed`.
    """
    manifest = stage.load_current(machine)
    if manifest is None or manifest.manager != "systemd":
        return
    from obstack.agent.systemd import full_name  # needed at boot alone

    names = [full_name(unit.name) for unit in manifest.units if unit.file and not unit.boot_only]
    # Crash here: the files are whole; the units that boot missed are started by the next run, which finds them stopped.
    durable.crash_point("queue-units")
    argv = ["systemctl", "start", "--no-block", *names]
    try:
        subprocess.run(argv, check=True, timeout=60, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="queue-failed",
            what="The units could not be queued.",
            where=" ".join(argv),
            do="observability apply",
            detail=str(error),
        ) from error
