"""What a change means for each unit: none, start, reload, restart or stop, and why. Pure.

The agent uses it to act and the controller to explain a plan, so both always agree. For every changed thing the first
input of a unit that matches it decides; of several causes the strongest wins, and its reason is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from obstack.agent import wire

STRENGTH = {"none": 0, "reload": 1, "restart": 2}
CONTENT_DRIFT = ("file-changed", "file-missing", "link-changed")
"""Drift after which a process may have read something else than the generation says."""


def decide(
    old: wire.Manifest | None,
    new: wire.Manifest | None,
    drift: Iterable[wire.Drift] = (),
    running: Collection[str] = (),
) -> tuple[wire.Action, ...]:
    """Given both manifests (None is nothing at all), the drift found and the units that run, return the actions.

    Stops come first, in reverse dependency order; then one action for every unit of `new`, dependencies first, also
    for those with nothing to do.
    """
    changed = changes(old, new) | drifted(old, drift)
    old_units = {unit.name: unit for unit in old.units} if old else {}
    new_units = ordered(new.units) if new else ()
    kept = {unit.name for unit in new_units}
    leaving = [unit for unit in reversed(ordered(old.units if old else ())) if unit.name not in kept]
    return (
        *(_leave(unit, changed) for unit in leaving),
        *(_settle(unit, old_units.get(unit.name), changed, unit.name in running) for unit in new_units),
    )


def strongest(actions: Iterable[wire.Action], others: Iterable[wire.Action]) -> tuple[wire.Action, ...]:
    """Given two decisions about units, return the first with what the other demands more of a unit that runs."""
    demanded = {action.unit: action for action in others}
    return tuple(
        other
        if (other := demanded.get(action.unit)) and STRENGTH.get(other.action, 0) > STRENGTH.get(action.action, 2)
        else action
        for action in actions
    )


def ordered(units: Iterable[wire.UnitEntry]) -> tuple[wire.UnitEntry, ...]:
    """Given units, return them with every unit behind those it comes after; otherwise in the given order.

    A circle is broken at the unit that was given first: an order is always found.
    """
    units = tuple(units)
    by_name = {unit.name: unit for unit in units}
    done: dict[str, wire.UnitEntry] = {}

    def place(unit: wire.UnitEntry, above: tuple[str, ...]) -> None:
        for name in unit.after:
            if name in by_name and name not in done and name not in above:
                place(by_name[name], (*above, unit.name))
        done.setdefault(unit.name, unit)

    for unit in units:
        place(unit, ())
    return tuple(done.values())


def changes(old: wire.Manifest | None, new: wire.Manifest | None) -> dict[str, str]:
    """Given both manifests, return what differs: tree path or `artifact:<name>`, and how, in a word."""
    before, after = _things(old), _things(new)
    found = {}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            found[name] = "is new" if name not in before else "was removed" if name not in after else "changed"
    return found


def _things(manifest: wire.Manifest | None) -> dict[str, object]:
    if manifest is None:
        return {}
    things: dict[str, object] = {f.path: (f.digest, f.mode, f.owner, f.group) for f in manifest.files}
    return things | {f"artifact:{artifact.name}": artifact.identity for artifact in manifest.artifacts}


def drifted(manifest: wire.Manifest | None, drift: Iterable[wire.Drift]) -> dict[str, str]:
    """Given the manifest in force and the drift from it, return the inputs that a process may have read wrongly."""
    found: dict[str, str] = {}
    if manifest is None:
        return found
    targets = {link.path: link.target for link in manifest.links}
    files = {unit.name: unit.file for unit in manifest.units}
    readings = {u.name: entry.source for u in manifest.units for entry in u.inputs if entry.effect == "reload"}
    lent = {entry.source for unit in manifest.units if not unit.file for entry in unit.inputs}
    for difference in drift:
        subject = difference.subject
        if difference.kind == "artifact-changed":
            found[f"artifact:{subject}"] = "was changed by hand"
        elif difference.kind == "unit-file-changed":
            found[files.get(subject, subject)] = "was changed by hand"
        elif difference.kind == "unit-undone":
            # What it did is to be done again, as if what it reads were new: without a gap, where it can be reloaded.
            found[readings.get(subject, files.get(subject, subject))] = "no longer has its effect"
        elif difference.kind == "directory-missing":
            found[subject] = "was missing"
        elif difference.kind == "link-missing" and targets.get(subject) in lent:
            # A unit of the machine's own may have read its folder since, and then runs without our file.
            found[targets[subject]] = "was missing in its place"
        elif difference.kind in CONTENT_DRIFT:
            target = targets.get(subject)
            inside = [f.path for f in manifest.files if target and _is_within(f.path, target)]
            for path in inside or [subject]:
                found[path] = "was changed by hand"
    return found


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _leave(unit: wire.UnitEntry, changed: dict[str, str]) -> wire.Action:
    """A unit that the new generation no longer has. A foreign one goes on without what we gave it."""
    if unit.boot_only:
        return wire.Action(unit.name, "none", "it runs only at boot, and is no longer part of the generation")
    if unit.file:
        return wire.Action(unit.name, "stop", "it is no longer part of the generation")
    return _strongest(unit, unit, changed)


def _settle(unit: wire.UnitEntry, old: wire.UnitEntry | None, changed: dict[str, str], running: bool) -> wire.Action:
    if unit.boot_only:
        return wire.Action(unit.name, "none", "it runs only at boot")
    if unit.file and not running:
        return wire.Action(unit.name, "start", "it is new" if old is None else "it is not running")
    if unit.file and old is None:
        return wire.Action(unit.name, "restart", "it is new, and something of its name is running already")
    return _strongest(unit, old, changed)


def _strongest(unit: wire.UnitEntry, old: wire.UnitEntry | None, changed: dict[str, str]) -> wire.Action:
    """The strongest of all causes. Inputs of the old form count too: what is no longer read may have to be let go."""
    action, reason = "none", "nothing that it reads changed"
    for thing, how in changed.items():
        effect = _effect(unit, thing)
        if effect is None and old is not None:
            effect = _effect(old, thing)
        if effect == "reload" and unit.file and unit.reload is None:
            effect = "restart"
        if effect == "none" and action == "none":
            reason = f"{thing} {how}, which it takes up by itself"
        if effect is not None and STRENGTH[effect] > STRENGTH[action]:
            action, reason = effect, f"{thing} {how}"
    return wire.Action(unit.name, action, reason)


def _effect(unit: wire.UnitEntry, thing: str) -> str | None:
    """Return what a change of `thing` means for the unit; None when it does not read it."""
    if unit.file and thing == unit.file:
        return "restart"
    if unit.state is not None and thing == unit.state.directory:
        return "restart"
    for entry in unit.inputs:
        if thing == entry.source or (entry.source.endswith("/") and thing.startswith(entry.source)):
            return entry.effect
    return None
