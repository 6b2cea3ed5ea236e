"""The switch itself: from one generation to another, or to nothing. The way forward and the way back are the same code.

Order: stop what leaves, and what must take back what it did with the files that it did it with; see to the data, make
users and directories, flip `current`, converge the outside, let the service manager read its definitions, act on the
units. Every act is recorded before it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from obstack.agent import durable, foreign, gate, outward, stage, wire
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.machine import Machine
from obstack.agent.record import Writer
from obstack.agent.services import ServiceFailure, ServiceManager, UnitState


@dataclass
class Transition:
    """One way, from `old` to `new` (None is nothing at all).

    `data` is called when the leaving units are stopped and nothing is flipped yet. With `boot`, only files are seen to:
    the units are not running yet, and waiting for them would stop the boot. A `resolute` transition is a way back: it
    tries every unit even when one fails, and raises at the end. `acted` gives the unix time of each act.
    """

    machine: Machine
    writer: Writer
    old: wire.Manifest | None
    new: wire.Manifest | None
    actions: tuple[wire.Action, ...]
    data: Callable[[Transition], None] = lambda _: None
    boot: bool = False
    resolute: bool = False
    acted: dict[str, float] = field(default_factory=dict)
    failures: list[ServiceFailure] = field(default_factory=list)

    @property
    def manager(self) -> ServiceManager:
        """The service manager of the machine."""
        manifest = self.new or self.old
        if manifest is None:
            raise ValueError("a transition has at least one end")
        return self.machine.manager(manifest)

    def run(self) -> None:
        """Go the whole way. Raises AgentError; then the machine is in between and the way back must be gone."""
        self._stop_leaving()
        self.data(self)
        if self.new is not None:
            outward.prepare(self.machine, self.new)
            stage.own_tree(self.machine, self.new)
        flip(self.machine, self.new)
        # Crash here: `current` and the outside belong to different generations; recovery converges to one of them.
        durable.crash_point("flipped")
        # On a way back the files may have been put right already by one that died before it could say so.
        if outward.converge(self.machine, self.new, self.writer.transaction.aside) or self.resolute:
            self._reload_definitions()
        self._act_on_all("start", "restart", "reload")
        if self.failures:
            raise failure_error(self.failures)

    def act(self, unit: wire.UnitEntry, action: str, reason: str = "") -> None:
        """Record and do one act. Raises AgentError `act-failed`; a resolute transition keeps the failure for later."""
        if self.boot:
            return
        self.machine.interrupts.check()
        if self._passed_over(unit):
            self._try(unit, "check", lambda: None)
            return
        self._announce(unit, action, reason)
        self._try(unit, action, lambda: _do(self.manager, action, unit))
        self._remember(unit)

    def _start(self, starts: Sequence[tuple[wire.UnitEntry, str]]) -> None:
        """Start units of which none needs another in one go, each announced with its reason. Raises as `act` does."""
        if self.boot:
            return
        self.machine.interrupts.check()
        units = [unit for unit, _ in starts]
        for unit, reason in starts:
            self._announce(unit, "start", reason)
        self._try(units[0], "start", lambda: self.manager.start_all(units))
        for unit in units:
            self._remember(unit)

    def _announce(self, unit: wire.UnitEntry, action: str, reason: str) -> None:
        self.writer.append("acting", unit=unit.name, action=action)
        self.machine.event("act", "started", f"{action} {unit.name}: {reason}", unit=unit.name, action=action)
        # Crash here: the act is announced and not done; recovery acts on the unit again, which is safe.
        durable.crash_point(f"act-{unit.name}")

    def _remember(self, unit: wire.UnitEntry) -> None:
        self.acted[unit.name] = time.time()
        # Crash here: the unit runs with the new files and nothing says so but the announcement; recovery acts again.
        durable.crash_point(f"acted-{unit.name}")

    def _try(self, unit: wire.UnitEntry, action: str, act: Callable[[], None]) -> None:
        """Do one act, which a unit of the machine's own must be ready for. Raises AgentError `act-failed` as `act`."""
        try:
            with self.machine.interrupts.region():
                if not self.resolute:
                    # A way back brings what the unit ran before; that must not wait for anybody's approval.
                    foreign.demand_accepted(unit)
                act()
        except ServiceFailure as failure:
            self.machine.event("act", "failed", failure.what, unit=failure.unit or unit.name, action=action)
            self.failures.append(failure)
            if not self.resolute:
                raise failure_error(self.failures) from failure

    def _passed_over(self, unit: wire.UnitEntry) -> bool:
        """Tell whether the unit is the machine's own and does not run: it reads what is there when it is started.

        So its checker has the last word on what stays there.
        """
        if unit.file:
            return False
        return not states(self.machine, self.new, self.old)[unit.name].running

    def _stop_leaving(self) -> None:
        if self.boot or self.old is None:
            return
        units = {unit.name: unit for unit in self.old.units}
        leaving = [
            action
            for action in self.actions
            if action.action == "stop"
            or (action.action == "restart" and action.unit in units and units[action.unit].undoes)
        ]
        if not leaving:
            return
        # One that was never started is not known to systemd, which would refuse to stop it.
        observed = states(self.machine, self.old)
        for action in leaving:
            if observed[action.unit].active != "inactive":
                self.act(units[action.unit], "stop", action.reason)

    def _act_on_all(self, *kinds: str) -> None:
        units = {unit.name: unit for manifest in (self.old, self.new) if manifest for unit in manifest.units}
        starts: list[tuple[wire.UnitEntry, str]] = []
        for action in (action for action in self.actions if action.action in kinds):
            unit = units[action.unit]
            if starts and (action.action != "start" or any(other.name in unit.after for other, _ in starts)):
                self._start(starts)
                starts = []
            if action.action == "start":
                starts.append((unit, action.reason))
            else:
                self.act(unit, action.action, action.reason)
        if starts:
            self._start(starts)

    def _reload_definitions(self) -> None:
        # Crash here: unit files are new and the service manager does not know; recovery lets it read them again.
        durable.crash_point("reload-definitions")
        try:
            self.manager.reload_definitions()
        except ServiceFailure as failure:
            self.failures.append(failure)
            if not self.resolute:
                raise failure_error(self.failures) from failure


def _do(manager: ServiceManager, action: str, unit: wire.UnitEntry) -> None:
    match action:
        case "stop":
            manager.stop(unit)
        case "restart":
            manager.restart(unit)
        case "reload":
            manager.reload(unit)
        case _:
            raise ValueError(f"no act is called {action!r}")


def flip(machine: Machine, manifest: wire.Manifest | None) -> None:
    """Make `current` lead to the generation, by one rename, or remove it. Raises AgentError."""
    # Crash here: `current` leads to the old generation; recovery goes back to it.
    durable.crash_point("flip")
    if manifest is None:
        durable.remove(machine.paths.current)
    elif machine.current() != manifest.identity:
        durable.replace_link(machine.paths.current, f"generations/{manifest.identity}")


def states(machine: Machine, *manifests: wire.Manifest | None) -> dict[str, UnitState]:
    """Return the states of all units of the manifests, from one question. Raises AgentError `manager-silent`."""
    units = {unit.name: unit for manifest in manifests if manifest for unit in manifest.units}
    present = [manifest for manifest in manifests if manifest]
    if not present:
        return {}
    try:
        return machine.manager(present[-1]).states(list(units.values()))
    except ServiceFailure as failure:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="manager-silent",
            what=f"The service manager could not be asked: {failure.what}.",
            where=present[-1].manager,
            do="observability up" if present[-1].manager == "supervisor" else "systemctl is-system-running",
            state="nothing was changed by this run",
            detail=failure.detail,
        ) from failure


def running(observed: dict[str, UnitState]) -> frozenset[str]:
    """Return the names of the units that run."""
    return frozenset(name for name, state in observed.items() if state.running)


def run_gates(
    machine: Machine,
    manifest: wire.Manifest,
    acted: dict[str, float],
    *,
    active: bool,
    demanded: frozenset[tuple[str, str]] = frozenset(),
    returning: bool = False,
) -> tuple[wire.GateResult, ...]:
    """Run the gates of a generation and return their results. An interruption turns what is pending red.

    `demanded` are the targets of other machines, by job and instance, that must be up. `returning` is a way back.
    """
    context = gate.GateContext(
        root=machine.root,
        tree=machine.paths.generation(manifest.identity),
        manifest=manifest,
        manager=machine.manager(manifest),
        acted=acted,
        active=active,
        cancelled=lambda: machine.interrupts.pending,
        on_event=machine.emit,
        demanded=demanded,
        confirm=None if returning else machine.confirm,
    )
    return gate.run_gates(manifest.gates, context)


def red(results: Iterable[wire.GateResult]) -> list[wire.GateResult]:
    """Return the results that did not pass."""
    return [result for result in results if not result.passed]


def gate_error(results: Iterable[wire.GateResult], identity: str) -> AgentError:
    """Return the error for red gates: the cause or else the first in its sentence, all of them in its detail."""
    failed = red(results)
    # A unit that does not run turns the gates of many units red; its own is the one to look at.
    first = next((result for result in failed if result.kind == "units-active"), failed[0])
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="gate-failed",
        what=f"Gate {first.name!r} stayed red after the switch to generation {identity[:12]}: {first.message}.",
        where=f"unit {first.unit}" if first.unit else f"gate {first.name}",
        do=f"observability logs {first.unit}".rstrip()
        + "    then correct the configuration and run: observability apply",
        # A terminal shows the end of it: there, what is red says more than a log.
        detail="\n".join([*_evidence(failed), *(f"red: {result.name}: {result.message}" for result in failed)]),
    )


def _evidence(failed: Iterable[wire.GateResult]) -> list[str]:
    """Return each text of evidence once: the gates that one unit turned red all show its log."""
    return list(dict.fromkeys(result.evidence for result in failed if result.evidence))


def failure_error(failures: list[ServiceFailure]) -> AgentError:
    """Return the error for acts that failed."""
    first = failures[0]
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="act-failed",
        what=f"{first.what}.",
        where=f"unit {first.unit}" if first.unit else "the service manager",
        do=f"observability logs {first.unit}    then correct the configuration and run: observability apply",
        detail="\n".join(f"{failure.what}\n{failure.detail}".rstrip() for failure in failures),
    )
