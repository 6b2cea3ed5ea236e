"""What fences a unit in: one hardened base for all, the limits of each, and what its Sandbox allows beyond the base."""

from __future__ import annotations

from typing import Final

from obstack.render.emit import unit_quoted
from obstack.render.service import Sandbox

Settings = list[tuple[str, str]]

# ProcSubset=pid is left out on purpose: it hides /proc/stat, and with it every daemon's process_start_time_seconds.
BASE: Final[Settings] = [
    ("NoNewPrivileges", "yes"),
    ("LockPersonality", "yes"),
    ("PrivateIPC", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectSystem", "strict"),
    ("RemoveIPC", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
    ("SystemCallErrorNumber", "EPERM"),
    ("KeyringMode", "private"),
]


def limits(memory_max: str, tasks_max: int, open_files: int) -> Settings:
    """Given the most that a unit may use, return its limits. There is never a core dump: it would hold secrets."""
    return [
        ("MemoryMax", memory_max),
        ("TasksMax", str(tasks_max)),
        ("LimitNOFILE", str(open_files)),
        ("LimitCORE", "0"),
    ]


def fences(sandbox: Sandbox, user: str, **changed: str) -> Settings:
    """Given what a unit may do and as whom, return its settings; `changed` are settings of the base in other words."""
    base = [(name, changed.get(name, value)) for name, value in BASE]
    return [*base, ("UMask", sandbox.umask), *_rights(sandbox, user), *_surroundings(sandbox), *_network(sandbox)]


def _rights(sandbox: Sandbox, user: str) -> Settings:
    capabilities = " ".join(sandbox.capabilities)
    settings: Settings = [
        ("CapabilityBoundingSet", capabilities),
        # Root has what the bounding set leaves it without them.
        ("AmbientCapabilities", "" if user == "root" else capabilities),
        # Capabilities do not reach out of a user namespace.
        ("PrivateUsers", "no" if sandbox.capabilities else "yes"),
        ("MemoryDenyWriteExecute", "no" if sandbox.writable_executable_memory else "yes"),
    ]
    if sandbox.clock:
        # Reading the state of the clock is the same call as setting it, which without the capability is refused.
        settings.append(("SystemCallFilter", "adjtimex clock_adjtime"))
    if sandbox.calls:
        settings.append(("SystemCallFilter", " ".join(sandbox.calls)))
    return settings


def _surroundings(sandbox: Sandbox) -> Settings:
    return [
        ("ProtectProc", "default" if sandbox.host_processes else "invisible"),
        ("PrivateTmp", "no" if sandbox.host_mounts else "yes"),
        ("ProtectHome", "read-only" if sandbox.host_mounts else "yes"),
        ("ProtectClock", "no" if sandbox.clock else "yes"),
        ("DevicePolicy", "closed"),
        ("PrivateDevices", "no" if sandbox.devices else "yes"),
        *(("DeviceAllow", f"{unit_quoted(device)} rw") for device in sandbox.devices),
        *(("ReadWritePaths", unit_quoted(path)) for path in sandbox.writable),
        *(("InaccessiblePaths", unit_quoted(path)) for path in sandbox.hidden),
    ]


def _network(sandbox: Sandbox) -> Settings:
    settings: Settings = [("RestrictAddressFamilies", " ".join(sandbox.families))]
    if set(sandbox.families) == {"AF_UNIX"}:
        # Sockets of the file system lead out of a network namespace, and nothing else is wanted.
        settings += [("PrivateNetwork", "yes"), ("IPAddressDeny", "any")]
    elif sandbox.loopback_only:
        settings += [("IPAddressDeny", "any"), ("IPAddressAllow", "localhost")]
    return settings
