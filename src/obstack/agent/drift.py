"""How a machine differs from the generation in force. Reads only.

One pass: files of the tree are hashed, artifacts are compared with the index written when they were unpacked, the
states of all units come from one question to the service manager.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from obstack.agent import outward, stage, wire
from obstack.agent.faults import AgentError
from obstack.agent.machine import Machine
from obstack.agent.paths import FIREWALL_UNIT
from obstack.agent.services import UnitState, describe


def find(machine: Machine, manifest: wire.Manifest, states: Mapping[str, UnitState]) -> tuple[wire.Drift, ...]:
    """Given the manifest in force and the states of its units, return every difference, in a fixed order."""
    return (
        *_tree(machine, manifest),
        *_artifacts(machine, manifest),
        *_links(machine, manifest),
        *_definitions(machine, manifest),
        *_directories(manifest),
        *(
            wire.Drift("user-missing", name, "the system user does not exist")
            for name in outward.missing_users(manifest)
        ),
        *_units(manifest, states),
        *_firewall(machine, manifest, states),
    )


def _tree(machine: Machine, manifest: wire.Manifest) -> list[wire.Drift]:
    tree, key = machine.paths.generation(manifest.identity), machine.store.key(manifest)
    details = {
        "file-missing": "the file is gone",
        "file-changed": "the content is not that of the generation",
        "mode-changed": "the mode is not that of the generation",
        "owner-changed": "the owner is not that of the generation",
    }
    found = []
    for folder in stage.folders(manifest):
        kind = stage.folder_difference(tree, folder)
        if kind is not None:
            found.append(wire.Drift(kind, folder, details[kind]))
    for file in manifest.files:
        kind = stage.file_difference(tree, file, key, attributes=True)
        if kind is not None:
            found.append(wire.Drift(kind, file.path, details[kind]))
    extra = stage.unexpected_files(tree, manifest)
    return [*found, *(wire.Drift("file-changed", path, "the file is not part of the generation") for path in extra)]


def _artifacts(machine: Machine, manifest: wire.Manifest) -> list[wire.Drift]:
    tree = machine.paths.generation(manifest.identity)
    found = []
    for artifact in manifest.artifacts:
        changed = machine.store.artifact_changes(artifact.identity)
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            found.append(wire.Drift("artifact-changed", artifact.name, f"{changed[0]}{more}"))
        elif not stage.artifact_linked(tree, artifact):
            found.append(wire.Drift("artifact-changed", artifact.name, "the generation does not lead to it"))
    return found


def _links(machine: Machine, manifest: wire.Manifest) -> list[wire.Drift]:
    found = []
    units = {path for unit in manifest.units for path in [_enable_path(machine, manifest, unit)] if path}
    for path, text in outward.wanted(machine, manifest).links.items():
        if path in units:
            continue  # told as unit-disabled, by the unit's name
        if not os.path.lexists(path):
            found.append(wire.Drift("link-missing", path, f"it must lead to {text}"))
        elif not os.path.islink(path):
            found.append(wire.Drift("link-changed", path, f"it is no link; it must lead to {text}"))
        elif os.readlink(path) != text:
            found.append(wire.Drift("link-changed", path, f"it leads to {os.readlink(path)} instead of {text}"))
    return found


def _enable_path(machine: Machine, manifest: wire.Manifest, unit: wire.UnitEntry) -> str | None:
    link = machine.manager(manifest).enable_link(unit)
    return link[0] if link else None


def _definitions(machine: Machine, manifest: wire.Manifest) -> list[wire.Drift]:
    manager = machine.manager(manifest)
    found = []
    for unit in manifest.units:
        if not unit.file:
            continue
        path = manager.definition_path(unit)
        if not outward.same_file(machine.store.blob_path(_digest_of(manifest, unit.file)), path):
            found.append(wire.Drift("unit-file-changed", unit.name, f"{path} is not that of the generation"))
        link = manager.enable_link(unit)
        if link is not None and outward.link_text(link[0]) != link[1]:
            found.append(wire.Drift("unit-disabled", unit.name, f"{link[0]} does not lead to {link[1]}"))
    return found


def _digest_of(manifest: wire.Manifest, path: str) -> str:
    return next(file.digest for file in manifest.files if file.path == path)


def _directories(manifest: wire.Manifest) -> list[wire.Drift]:
    found = []
    for entry in manifest.directories:
        try:
            status = os.stat(entry.path)
        except FileNotFoundError:
            found.append(wire.Drift("directory-missing", entry.path, "the directory is gone"))
            continue
        mode = stat.S_IMODE(status.st_mode)
        if mode != entry.mode:
            found.append(wire.Drift("mode-changed", entry.path, f"the mode is {mode:04o} instead of {entry.mode:04o}"))
        elif not stage.owned(status, entry.owner, entry.group, entry.path):
            found.append(wire.Drift("owner-changed", entry.path, f"it must belong to {entry.owner}:{entry.group}"))
    return found


def _units(manifest: wire.Manifest, states: Mapping[str, UnitState]) -> list[wire.Drift]:
    found = []
    for unit in manifest.units:
        if unit.boot_only or not unit.file:
            continue
        state = states[unit.name]
        if state.broken:
            found.append(wire.Drift("unit-failed", unit.name, f"it is {describe(state)}"))
        elif not state.running:
            found.append(wire.Drift("unit-stopped", unit.name, f"it is {describe(state)}"))
    return found


def _firewall(machine: Machine, manifest: wire.Manifest, states: Mapping[str, UnitState]) -> list[wire.Drift]:
    """Its unit stays active whatever becomes of its rules, so they are looked at themselves."""
    if all(unit.name != FIREWALL_UNIT for unit in manifest.units) or not states[FIREWALL_UNIT].running:
        return []
    from obstack.agent import firewall, openings  # not every node has one

    tree = machine.paths.generation(manifest.identity)
    try:
        found = firewall.differences(machine.root, openings.read_rules(os.path.join(tree, firewall.FILE)))
    except AgentError as error:
        found = [error.what]
    return [wire.Drift("unit-undone", FIREWALL_UNIT, "; ".join(found))] if found else []
