"""Typed looks at a machine that tell which services it has. Nothing is changed, and no text is handed to a shell.

"Could not look" never becomes "is not there": such a look is answered `unknown`, with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence

from obstack.agent import listeners, wire
from obstack.agent.facts import UNIT_FOLDERS, tool_environment

YES, NO, UNKNOWN = "yes", "no", "unknown"
LISTENING = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix
ENABLED = ("enabled", "enabled-runtime", "generated", "linked")
PROPERTIES = ("Id", "Names", "LoadState", "ActiveState", "UnitFileState", "FragmentPath")
LONGEST_CALL_S = 30

Answers = Mapping[str, wire.Sighting]


def look(asked: Sequence[wire.Look], ours: frozenset[str] = frozenset()) -> tuple[wire.Sighting, ...]:
    """Given what to look for, return what was seen of each, in the same order.

    `ours` are the paths that this program made: a service of its own is nobody else's. Raises ValueError for a kind of
    look that does not exist.
    """
    subjects: dict[str, list[str]] = {}
    for one in asked:
        if one.kind not in KINDS:
            raise ValueError(f"there is no look of the kind {one.kind!r}")
        subjects.setdefault(one.kind, []).append(one.subject)
    found = {kind: _answers(kind, names, ours) for kind, names in subjects.items()}
    return tuple(found[one.kind][one.subject] for one in asked)


def _answers(kind: str, subjects: Sequence[str], ours: frozenset[str]) -> Answers:
    try:
        return KINDS[kind](list(dict.fromkeys(subjects)), ours)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return {
            subject: wire.Sighting(kind, subject, UNKNOWN, f"{kind} {subject} could not be looked at: {error}")
            for subject in subjects
        }


# ------------------------------------------------------------------------------------------------------------- units


def _units(names: Sequence[str], ours: frozenset[str]) -> Answers:
    templates = [name for name in names if "@." in name]
    plain = [name for name in names if name not in templates]
    shown = _shown(plain)
    found = {name: _unit(name, shown.get(name, {}), ours) for name in plain}
    return found | {name: _template(name) for name in templates}


def _shown(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the properties of units by every name that they have."""
    if not names:
        return {}
    shown: dict[str, dict[str, str]] = {}
    text = _output(["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *names])
    for paragraph in text.split("\n\n"):
        values = dict(line.split("=", 1) for line in paragraph.splitlines() if "=" in line)
        for name in {values.get("Id", ""), *values.get("Names", "").split()}:
            shown[name] = values
    return shown


def _unit(name: str, values: Mapping[str, str], ours: frozenset[str]) -> wire.Sighting:
    load, path = values.get("LoadState", "not-found"), values.get("FragmentPath", "")
    if path in ours:
        return wire.Sighting("unit", name, NO, f"unit {name} is this program's own")
    if load == "masked":
        return wire.Sighting("unit", name, NO, f"unit {name} is masked")
    if load != "loaded":
        return wire.Sighting("unit", name, NO, f"there is no unit {name}")
    active, file = values.get("ActiveState", ""), values.get("UnitFileState", "")
    if active in ("active", "reloading", "activating"):
        return wire.Sighting("unit", name, YES, f"unit {name} is {active}", "active")
    if file in ENABLED:
        return wire.Sighting("unit", name, YES, f"unit {name} is enabled, and {active}", "enabled")
    return wire.Sighting(
        "unit", name, YES, f"unit {name} is there, but is {file or 'not enabled'} and {active}", "idle"
    )


def _template(name: str) -> wire.Sighting:
    """A template is there when its file is; it is at work when an instance of it is."""
    prefix, _, suffix = name.partition("@")
    if not any(os.path.exists(f"/{folder}/{name}") for folder in UNIT_FOLDERS):
        return wire.Sighting("unit", name, NO, f"there is no unit {name}")
    listed = _output(
        ["systemctl", "list-units", "--plain", "--no-legend", "--state=active", "--", f"{prefix}@*{suffix}"]
    )
    instances = [line.split()[0] for line in listed.splitlines() if line.strip()]
    if instances:
        return wire.Sighting("unit", name, YES, f"unit {instances[0]} is active", "active")
    return wire.Sighting("unit", name, YES, f"unit {name} is there, but no instance of it is active", "idle")


# ------------------------------------------------------------------------------------------- programs, files, packages


def _commands(names: Sequence[str], ours: frozenset[str]) -> Answers:
    del ours
    path = tool_environment()["PATH"]
    found = {name: shutil.which(name, path=path) for name in names}
    return {
        name: wire.Sighting("command", name, YES, f"program {place}")
        if place
        else wire.Sighting("command", name, NO, f"there is no program {name} on the PATH")
        for name, place in found.items()
    }


def _files(names: Sequence[str], ours: frozenset[str]) -> Answers:
    return {name: _file(name, ours) for name in names}


def _file(name: str, ours: frozenset[str]) -> wire.Sighting:
    if name in ours:
        return wire.Sighting("file", name, NO, f"{name} is this program's own")
    try:
        os.lstat(name)
    except (FileNotFoundError, NotADirectoryError):
        return wire.Sighting("file", name, NO, f"{name} is not there")
    except OSError as error:
        return wire.Sighting("file", name, UNKNOWN, f"{name} could not be looked at: {error.strerror}")
    return wire.Sighting("file", name, YES, f"{'folder' if os.path.isdir(name) else 'file'} {name}")


def _packages(names: Sequence[str], ours: frozenset[str]) -> Answers:
    del ours
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\n"
    # The exit code is 1 as soon as one of the names is unknown, which is the usual case.
    text = _output(["dpkg-query", "--show", f"--showformat={form}", "--", *names], accepted=(0, 1))
    rows = [line.split("\t") for line in text.splitlines()]
    installed = {name: version for status, name, version in rows if status[1:2] == "i"}
    return {
        name: wire.Sighting("package", name, YES, f"package {name} {installed[name]}")
        if name in installed
        else wire.Sighting("package", name, NO, f"the package {name} is not installed")
        for name in names
    }


# ----------------------------------------------------------------------------------------------------------- sockets


def _sockets(names: Sequence[str], ours: frozenset[str]) -> Answers:
    del ours
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        listening = parse_unix_sockets(file.read())
    return {name: _socket(name, listening) for name in names}


def parse_unix_sockets(text: str) -> frozenset[str]:
    """Given /proc/net/unix, return the paths that something listens on."""
    rows = [line.split(None, 7) for line in text.splitlines()[1:]]
    return frozenset(row[7] for row in rows if len(row) == 8 and int(row[3], 16) & LISTENING)


def _socket(name: str, listening: frozenset[str]) -> wire.Sighting:
    # /var/run leads to /run, and a service may have bound either name.
    real = os.path.realpath(name)
    if name in listening or real in {os.path.realpath(path) for path in listening if path.startswith("/")}:
        return wire.Sighting("socket", name, YES, f"something listens on {name}", "active")
    if os.path.lexists(name):
        return wire.Sighting("socket", name, NO, f"{name} is there, but nothing listens on it")
    return wire.Sighting("socket", name, NO, f"there is no socket {name}")


def _ports(names: Sequence[str], ours: frozenset[str]) -> Answers:
    units = {os.path.basename(path) for path in ours}
    found = listeners.read_listeners()
    return {name: _port(name, [one for one in found if str(one.port) == name], units) for name in names}


def _port(name: str, listening: Sequence[listeners.Listener], units: set[str]) -> wire.Sighting:
    others = [listener for listener in listening if listener.unit not in units]
    if others:
        one = next((listener for listener in others if listener.program), others[0])
        address = f"[{one.address}]" if ":" in one.address else one.address
        unit = f" ({one.unit})" if one.unit else ""
        return wire.Sighting(
            "port", name, YES, f"{one.program or 'something'}{unit} listens on {address}:{name}", "active"
        )
    if listening:
        return wire.Sighting("port", name, NO, f"only {listening[0].unit}, this program's own, listens on port {name}")
    return wire.Sighting("port", name, NO, f"nothing listens on port {name}")


def _output(argv: Sequence[str], accepted: Sequence[int] = (0,)) -> str:
    try:
        done = subprocess.run(
            argv, env=tool_environment(), capture_output=True, text=True, check=False, timeout=LONGEST_CALL_S
        )
    except FileNotFoundError:
        raise ValueError(f"{argv[0]} is not on this machine") from None
    if done.returncode not in accepted:
        complaint = done.stderr.strip().partition("\n")[0]
        raise ValueError(f"{argv[0]} ended with {done.returncode}: {complaint}")
    return done.stdout


KINDS: dict[str, Callable[[Sequence[str], frozenset[str]], Answers]] = {
    "unit": _units,
    "command": _commands,
    "file": _files,
    "socket": _sockets,
    "port": _ports,
    "package": _packages,
}
