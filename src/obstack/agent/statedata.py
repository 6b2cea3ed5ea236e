"""What a switch means for the data of a unit whose format changes: a copy before, and the way back to it after.

A unit that goes to another format is stopped first. When its new version reads the data that are there, they are
copied and it goes on with them. Otherwise a snapshot in its own format takes their place; without one it is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from obstack.agent import snapshot, trusted, wire
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.machine import Machine
from obstack.agent.paths import Paths
from obstack.agent.record import Transaction
from obstack.agent.transition import Transition


@dataclass(frozen=True)
class FormatChange:
    """A unit in both its forms; `snapshot` is the copy that takes the place of data which `new` cannot read."""

    old: wire.UnitEntry
    new: wire.UnitEntry
    snapshot: snapshot.Snapshot | None


def decide(paths: Paths, old: wire.Manifest | None, new: wire.Manifest) -> tuple[FormatChange, ...]:
    """Return the units whose data format changes between two generations."""
    before = {unit.name: unit for unit in old.units} if old else {}
    found = []
    for unit in new.units:
        past = before.get(unit.name)
        if unit.state and past and past.state and past.state.format != unit.state.format:
            readable = past.state.format in unit.state.reads
            copy = None if readable else snapshot.newest(paths, unit.name, unit.state.format)
            found.append(FormatChange(past, unit, copy))
    return tuple(found)


def refuse_mounts(changes: tuple[FormatChange, ...]) -> None:
    """Raise AgentError `data-on-mount` when the data could not be exchanged by a rename on the way back."""
    for change in changes:
        directory = change.old.state.directory if change.old.state else ""
        place = trusted.resolved(directory)
        if os.path.ismount(place):
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="data-on-mount",
                what=f"The data format of {change.new.name} changes, and its folder is a mount point, "
                "which no rename can exchange: there would be no way back.",
                where=place,
                do=f"mount the disk elsewhere, let {directory} be a link to a folder on it, "
                "and run: observability apply",
                state="nothing was changed",
            )


def refuse_downgrade(changes: tuple[FormatChange, ...]) -> None:
    """Raise AgentError `format-downgrade` when a version would be left with data it cannot read."""
    for change in changes:
        old, new = change.old.state, change.new.state
        if change.snapshot is None and old and new and old.format not in new.reads:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="format-downgrade",
                what=f"{change.new.name} would find data in the format {old.format}, which it cannot "
                f"read; no copy in its own format {new.format} is kept.",
                where=old.directory,
                do="observability generations list    and choose one with the same data format",
                state="nothing was changed",
            )


def carry(transition: Transition, changes: tuple[FormatChange, ...]) -> None:
    """Stop the units of `changes` and copy or exchange their data. Raises AgentError."""
    sequence = transition.writer.transaction.sequence
    paths = transition.machine.paths
    for change in changes:
        transition.act(change.old, "stop", "its data format changes")
        transition.machine.event("snapshot", "started", change.new.name, unit=change.new.name)
        if change.snapshot is None:
            taken = snapshot.take(paths, change.old, sequence)
            transition.writer.append("snapshot", unit=change.new.name, path=taken.path)
        else:
            transition.writer.append("restoring", unit=change.new.name, directory=change.snapshot.directory)
            _restore(transition.machine, change.snapshot, sequence)
        transition.machine.event("snapshot", "done", change.new.name, unit=change.new.name)


def carry_back(transition: Transition, transaction: Transaction) -> None:
    """Undo what `carry` and the new version did to data, as far as the record says that anything was done.

    Data that the new version may have written to give way to the copy taken before; they stay beside it.
    Raises AgentError.
    """
    touched = {
        entry["unit"] for entry in transaction.entries if entry["step"] == "acting" and entry["action"] != "stop"
    }
    units = {unit.name: unit for manifest in (transition.old, transition.new) if manifest for unit in manifest.units}
    for entry in transaction.entries:
        if entry["step"] == "restoring":
            transition.act(units[entry["unit"]], "stop", "its data are put back")
            snapshot.undo_restore(entry["directory"], transaction.sequence)
        elif entry["step"] == "snapshot" and entry["unit"] in touched:
            transition.act(units[entry["unit"]], "stop", "its data are put back")
            _restore(transition.machine, snapshot.load(entry["path"]), transaction.sequence)


def _restore(machine: Machine, copy: snapshot.Snapshot, sequence: int) -> None:
    ledger = machine.ledger()
    if ledger.has("data", copy.directory):
        # What lies beside data that are ours is ours as well: a purge removes it.
        ledger.claim(("data", path) for path in snapshot.beside(copy.directory, sequence))
    snapshot.restore(copy, sequence)


def kept(manifest: wire.Manifest, transaction: Transaction) -> list[dict[str, str]]:
    """Return what a run has kept of the data of its units, as {unit, what, path}."""
    found = [
        {"unit": entry["unit"], "what": "a copy of its data from before", "path": entry["path"]}
        for entry in transaction.entries
        if entry["step"] == "snapshot"
    ]
    for unit in manifest.units:
        newer = snapshot.beside(unit.state.directory, transaction.sequence)[0] if unit.state else ""
        if newer and os.path.isdir(newer):
            found.append({"unit": unit.name, "what": "its newer data, set aside", "path": newer})
    return found
