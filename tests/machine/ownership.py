"""Who owns what is ours on a machine, and what each running service can write, as it sees the machine itself."""

from __future__ import annotations

import json
from typing import Any, Final

from machine.library.machine import Machine

STATE: Final = "/var/lib/observability"
# Programs, configuration, generations and unit files, and the way to them.
OF_ROOT: Final = rf"""
find {STATE} /etc/systemd/system ! -type l \( ! -user root -o -perm /022 \) -printf 'of %u, %m: %p\n'
find / /var /var/lib /etc -maxdepth 0 \( ! -user root -o -perm /022 \) -printf 'of %u, %m: %p\n'
"""
# In the service's own view and as its user; what it cannot even look into is no place where it could write.
WRITABLE: Final = (
    "nsenter --target {pid} --mount -- setpriv --reuid={user} --regid={user} --init-groups -- "
    "find {places} ! -type l -writable -print 2>/dev/null || true"
)
NEVER: Final = f"/etc /usr /boot {STATE}"
"""Where no service may write."""


def manifest(machine: Machine) -> Any:
    """Return the manifest of the generation in force."""
    return json.loads(machine.succeed(["cat", f"{STATE}/current/manifest.json"]).stdout)


def not_of_root(machine: Machine) -> list[str]:
    """Return what of ours is not root's, or can be written by others."""
    return machine.succeed(OF_ROOT).stdout.splitlines()


def foreign_data(machine: Machine) -> list[str]:
    """Return what lies in a service's data directory and is not of the service's user."""
    owners = {entry["path"]: entry["owner"] for entry in manifest(machine)["directories"] if "owner" in entry}
    looks = [f"find -L {path} ! -user {owner}" for path, owner in owners.items() if owner != "root"]
    return machine.succeed("; ".join(looks) or "true").stdout.splitlines()


def running(machine: Machine) -> dict[str, tuple[str, str]]:
    """Return the process and the user of each of our units that runs."""
    names = [f"{unit['name']}.service" for unit in manifest(machine)["units"] if unit.get("file")]
    found = {}
    for name in names:
        pid = machine.unit_property(name, "MainPID")
        if pid not in ("", "0"):
            found[name] = (pid, machine.unit_property(name, "User"))
    return found


def writable(machine: Machine) -> list[str]:
    """Return which running service can write what of the programs and the configuration, be it root's own service."""
    return [f"{name}: {path}" for name in running(machine) for path in can_write(machine, name, NEVER)]


def can_write(machine: Machine, unit: str, places: str) -> list[str]:
    """Return what a running service can write below these places, as it sees the machine."""
    pid, user = running(machine)[unit]
    return machine.succeed(WRITABLE.format(pid=pid, user=user, places=places)).stdout.splitlines()
