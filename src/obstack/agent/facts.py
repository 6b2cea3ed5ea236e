"""Read-only probes of a machine. Each fact is known, absent, or unknown with the reason; nothing is guessed.

"Could not look" never becomes "is not there": a probe that raises is unknown, and preflight blocks on it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from obstack.agent import listeners, ssh_ports, wire
from obstack.agent.faults import AgentError

UNIT_FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
TIME_ERROR = 5


@dataclass(frozen=True)
class Question:
    """What is asked about beside the machine itself.

    `root` is the root prefix; `state` the agent's state folder; `paths` are the outward paths and `units` the unit
    names that a generation would take; `packages` are Debian packages that would be in the way; `commands` are
    programs that are needed; `users` are user names that would be made. `ours` are the paths (of links, directories
    and unit files) and users that the ledger says were made by us.
    """

    root: str
    state: str
    paths: Sequence[str] = ()
    units: Sequence[str] = ()
    packages: Sequence[str] = ()
    commands: Sequence[str] = ()
    users: Sequence[str] = ()
    ours: frozenset[str] = frozenset()


class Absent(Exception):
    """The probe looked, and what it looked for is not there."""


def gather(question: Question, names: Collection[str] = ()) -> tuple[wire.Fact, ...]:
    """Return one fact for each probe, or for those of `names`, in a fixed order.

    Nothing is changed and no probe can fail the others.
    """
    return tuple(_probe(name, probe, question) for name, probe in PROBES.items() if not names or name in names)


def _probe(name: str, probe: Callable[[Question], Any], question: Question) -> wire.Fact:
    try:
        return wire.Fact(name, "known", probe(question))
    except Absent:
        return wire.Fact(name, "absent")
    except (OSError, ValueError, KeyError, AttributeError, subprocess.SubprocessError) as error:
        return wire.Fact(name, "unknown", reason=f"{type(error).__name__}: {error}")


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _system(_: Question) -> dict[str, str]:
    try:
        text = _read("/etc/os-release")
    except FileNotFoundError:
        raise Absent from None
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    plain = {key: value.strip("\"'") for key, value in values.items()}
    return {
        "id": plain.get("ID", ""),
        "version": plain.get("VERSION_ID", ""),
        "codename": plain.get("VERSION_CODENAME", ""),
        "name": plain.get("PRETTY_NAME", plain.get("ID", "")),
    }


def _architecture(_: Question) -> str:
    machine = os.uname().machine
    return MACHINES.get(machine, machine)


def _user(_: Question) -> int:
    return os.geteuid()


def _manager(_: Question) -> str:
    return _read("/proc/1/comm").strip()


def _systemd(_: Question) -> int:
    if shutil.which("systemctl") is None:
        raise Absent
    # "systemd 252 (252.39-1~deb12u2)"
    return int(_output(["systemctl", "--version"]).split()[1].split(".")[0].split("~")[0])


def _python(_: Question) -> list[int]:
    return list(sys.version_info[:3])


def _memory(_: Question) -> dict[str, int]:
    values = dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines() if ":" in line)
    return {
        "total_bytes": int(values["MemTotal"].split()[0]) * 1024,
        "free_bytes": int(values["MemAvailable"].split()[0]) * 1024,
    }


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _disk(question: Question) -> dict[str, int]:
    status = os.statvfs(_existing(question.state))
    return {"total_bytes": status.f_blocks * status.f_frsize, "free_bytes": status.f_bavail * status.f_frsize}


def _inodes(question: Question) -> dict[str, int]:
    # A file system without a fixed number of inodes says 0 of 0.
    status = os.statvfs(_existing(question.state))
    return {"total": status.f_files, "free": status.f_favail}


def _listeners(_: Question) -> list[dict[str, Any]]:
    return [vars(listener) for listener in (*listeners.read_listeners(), *listeners.read_receivers())]


def _ssh(_: Question) -> list[int]:
    return list(ssh_ports.ssh_ports())


def _firewall(question: Question) -> dict[str, Any]:
    from obstack.agent import firewall  # not every question is about it

    try:
        found = firewall.describe(question.root)
    except AgentError as error:
        raise ValueError(error.what) from error
    if found is None:
        raise Absent
    return found


def _packages(question: Question) -> dict[str, str]:
    if shutil.which("dpkg-query") is None:
        raise Absent
    if not question.packages:
        return {}
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\n"
    # The exit code is 1 as soon as one of the names is unknown, which is the usual case.
    done = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={form}", *question.packages],
        env=tool_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    if done.returncode not in (0, 1):
        raise ValueError(f"dpkg-query ended with {done.returncode}: {done.stderr.strip()}")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: version for status, name, version in rows if status[1:2] == "i"}


def _paths(question: Question) -> dict[str, str]:
    return {path: _kind(path, question) for path in question.paths}


def _kind(path: str, question: Question) -> str:
    if path in question.ours:
        return "ours"
    if os.path.islink(path):
        return "ours" if os.readlink(path).startswith(f"{question.state}/") else "link"
    if os.path.isdir(path):
        return "directory"
    return "file" if os.path.lexists(path) else "absent"


def _units(question: Question) -> dict[str, str]:
    found = {}
    for unit in question.units:
        suffix = "" if unit.endswith(".timer") else ".service"
        for folder in UNIT_FOLDERS:
            path = f"{question.root}/{folder}/{unit}{suffix}"
            if os.path.lexists(path) and path not in question.ours:
                found[unit] = path
                break
    return found


def _clock(_: Question) -> dict[str, Any]:
    # The kernel knows whether anything disciplines its clock, be it timesyncd, chrony or ntpd.
    buffer = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return {"now": time.time(), "synchronized": state != TIME_ERROR}


def _namespaces(_: Question) -> bool:
    for path, refused in (
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("/proc/sys/user/max_user_namespaces", "0"),
    ):
        if os.path.exists(path) and _read(path).strip() == refused:
            return False
    return os.path.exists("/proc/self/ns/user")


def _ipv6(_: Question) -> bool:
    # What a server does at its start: the kernel may lack the family, or the address that means all.
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _commands(question: Question) -> dict[str, str]:
    return {name: shutil.which(name) or "" for name in question.commands}


def _users(question: Question) -> dict[str, int]:
    rows = [line.split(":") for line in _read("/etc/passwd").splitlines() if line.count(":") >= 6]
    wanted = set(question.users) - question.ours
    return {row[0]: int(row[2]) for row in rows if row[0] in wanted}


def _output(argv: list[str]) -> str:
    return subprocess.run(argv, env=tool_environment(), capture_output=True, text=True, check=True, timeout=20).stdout


def tool_environment() -> dict[str, str]:
    """Return the environment for the system's own tools: their messages are in English then."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


PROBES: dict[str, Callable[[Question], Any]] = {
    "os": _system,
    "architecture": _architecture,
    "user": _user,
    "manager": _manager,
    "systemd": _systemd,
    "python": _python,
    "memory": _memory,
    "disk": _disk,
    "inodes": _inodes,
    "listeners": _listeners,
    "ssh": _ssh,
    "firewall": _firewall,
    "packages": _packages,
    "paths": _paths,
    "units": _units,
    "users": _users,
    "clock": _clock,
    "namespaces": _namespaces,
    "commands": _commands,
    "ipv6": _ipv6,
}
