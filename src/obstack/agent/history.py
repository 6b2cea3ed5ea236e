"""What was in force when, told from the records; the choice of a generation to go back to; and what may be dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from obstack.agent import audit, durable, record, snapshot, stage, wire
from obstack.agent.faults import USAGE, AgentError
from obstack.agent.machine import Machine
from obstack.agent.record import Transaction, Writer

SHORT = 12
NAMED = 500
"""So many generations at most are named where a prune is entered in the audit log, by so many digits each."""

KEPT_RUNS = 50
"""So many runs keep their folders, beside those that brought a kept generation into force."""


@dataclass(frozen=True)
class Commit:
    """A moment at which a generation came into force; None is an uninstall."""

    sequence: int
    time: float
    generation: str | None


def commits(machine: Machine) -> Iterator[Commit]:
    """Yield all commits, the newest first."""
    for transaction in record.history(machine.paths.transactions):
        entry = transaction.last("committed")
        if entry is not None:
            yield Commit(transaction.sequence, float(entry["time"]), entry.get("generation"))


def generations(machine: Machine) -> list[dict[str, Any]]:
    """Return the kept generations as {identity, committed, current}, the one committed last first."""
    times: dict[str, list[float]] = {identity: [] for identity in stage.generations(machine.paths)}
    order: list[str] = []
    for commit in commits(machine):
        if commit.generation in times:
            times[commit.generation].insert(0, commit.time)
            if commit.generation not in order:
                order.append(commit.generation)
    order += [identity for identity in times if identity not in order]
    current = machine.current()
    return [{"identity": i, "committed": times[i], "current": i == current} for i in order]


def find(machine: Machine, prefix: str) -> str:
    """Given the beginning of an identity, return the one kept generation it fits. Raises AgentError."""
    fitting = [identity for identity in stage.generations(machine.paths) if prefix and identity.startswith(prefix)]
    if len(fitting) == 1:
        return fitting[0]
    raise AgentError(
        exit_code=USAGE,
        code="generation-ambiguous" if fitting else "generation-unknown",
        what=f"{prefix!r} fits {len(fitting)} generations."
        if fitting
        else f"No kept generation begins with {prefix!r}.",
        where=machine.paths.generations,
        do="observability generations list",
        state="nothing was changed",
    )


def choose(machine: Machine, goal: Any) -> str:
    """Given `previous`, the beginning of an identity, or {"at": unix time}, return the generation meant.

    A moment without a fraction means its whole second, because lists show no more: a time copied from a list leads to
    what it stands by.
    Raises AgentError of exit code 2 when there is none.
    """
    if isinstance(goal, dict):
        moment = float(goal["at"])
        end = moment + 1 if moment.is_integer() else moment
        found = next((commit.generation for commit in commits(machine) if commit.time < end), None)
        return _kept(machine, found, "No kept generation was in force at that time.")
    if goal != "previous":
        return find(machine, str(goal))
    current = machine.current()
    kept = set(stage.generations(machine.paths))
    earlier = (c.generation for c in commits(machine) if c.generation and c.generation != current)
    return _kept(
        machine, next((i for i in earlier if i in kept), None), "There is no earlier generation to go back to."
    )


def _kept(machine: Machine, identity: str | None, otherwise: str) -> str:
    if identity is not None and identity in stage.generations(machine.paths):
        return identity
    raise AgentError(
        exit_code=USAGE,
        code="generation-unknown",
        what=otherwise,
        where=machine.paths.generations,
        do="observability generations list",
        state="nothing was changed",
    )


def prune(machine: Machine, keep: int) -> tuple[str, ...]:
    """Drop all but the `keep` newest generations and what only they used; return the identities dropped.

    The one in force is always kept. The caller holds the lock and has recovered. Raises AgentError.
    """
    order = [str(item["identity"]) for item in generations(machine)]
    current = machine.current()
    kept = set(order[: max(keep, 1)]) | ({current} if current else set())
    dropped = tuple(identity for identity in order if identity not in kept)
    if not dropped and not _outdated_runs(machine, kept):
        _tidy(machine, kept)
        return ()
    writer = audit.begin(machine, verb="prune", previous=current, target=current)
    try:
        writer.append("pruning", generations=dropped)
        drop(machine, writer, dropped)
    finally:
        writer.close()
    return dropped


def drop(machine: Machine, writer: Writer, dropped: Sequence[str]) -> None:
    """Do, or end, a prune that is recorded. Idempotent. Raises AgentError."""
    for identity in dropped:
        stage.discard_tree(machine, identity)
    kept = set(stage.generations(machine.paths))
    _tidy(machine, kept)
    for transaction in _outdated_runs(machine, kept):
        # Crash here: a folder of an ended run is partly gone; without its record it counts as one that did nothing.
        durable.crash_point("prune-run")
        durable.remove_tree(transaction.folder)
    writer.append("pruned", dropped=[identity[:SHORT] for identity in dropped[:NAMED]])


def _tidy(machine: Machine, kept: Collection[str]) -> None:
    """Drop the contents and the copies of data that no kept generation uses. Raises AgentError."""
    manifests = [stage.load_manifest(machine, identity) for identity in sorted(kept)]
    machine.store.prune(manifests)
    _prune_snapshots(machine, manifests)


def _prune_snapshots(machine: Machine, kept: list[wire.Manifest]) -> None:
    """A copy of data is of use as long as a kept generation can read it."""
    formats = {(unit.name, unit.state.format) for manifest in kept for unit in manifest.units if unit.state}
    for copy in snapshot.everything(machine.paths):
        if (copy.unit, copy.format) not in formats:
            snapshot.discard(copy)


def _outdated_runs(machine: Machine, kept: Collection[str]) -> list[Transaction]:
    """Return the runs that nobody needs: ended long ago, and no kept generation came into force by them."""
    ended = list(record.history(machine.paths.transactions))[KEPT_RUNS:]
    return [run for run in ended if (run.last("committed") or {}).get("generation") not in kept]
