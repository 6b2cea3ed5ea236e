"""What somebody has added to units of ours beside their files: systemd's drop-ins. Reads only.

They change what a unit is, and are an administrator's right: they are told of, and neither healed nor counted as drift.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from obstack.agent import wire
from obstack.agent.machine import Machine
from obstack.agent.systemd import full_name

FOLDERS = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
)
"""Where systemd looks for what does not come with the distribution."""


def find(machine: Machine, manifest: wire.Manifest) -> tuple[wire.Drift, ...]:
    """Given the manifest in force, return each drop-in of a unit of ours that is not ours, as `unit-extended`."""
    if manifest.manager != "systemd":
        return ()
    ours = {name for kind, name in machine.ledger().claims if kind == "link"}
    return tuple(
        wire.Drift("unit-extended", unit.name, f"{path} was added, and is left as it is")
        for unit in manifest.units
        if unit.file
        for path in _drop_ins(machine.root, full_name(unit.name))
        if path not in ours
    )


def _drop_ins(root: str, name: str) -> Iterator[str]:
    for base in FOLDERS:
        for folder in _folders(name):
            place = f"{root}{base}/{folder}"
            try:
                found = os.listdir(place)
            except (FileNotFoundError, NotADirectoryError):
                continue
            yield from (f"{place}/{entry}" for entry in sorted(found) if entry.endswith(".conf"))


def _folders(name: str) -> Iterator[str]:
    """Yield the folders of drop-ins of a unit: its own, those of the beginnings of its name, that of its kind."""
    stem, _, kind = name.rpartition(".")
    yield f"{name}.d"
    parts = stem.split("-")
    for number in range(len(parts) - 1, 0, -1):
        yield f"{'-'.join(parts[:number])}-.{kind}.d"
    yield f"{kind}.d"
