"""The systemd service manager: systemctl, journalctl and systemd-analyze behind typed answers."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Sequence

from obstack.agent import wire
from obstack.agent.services import ServiceFailure, UnitState, describe, post_reload, wait_active

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "MainPID",
    "NRestarts",
    "UnitFileState",
    "Result",
    "ExecMainStartTimestampMonotonic",
)
SUFFIXES = (".service", ".socket", ".timer", ".target")
QUERY_TIMEOUT_S = 30
LOG_LIMIT = 16_384


class Systemd:
    """Given the root prefix (empty on a server), act on units of the machine's own systemd."""

    def __init__(self, root: str = "") -> None:
        self.root = root

    def states(self, units: Sequence[wire.UnitEntry]) -> dict[str, UnitState]:
        """Return the state of every unit given, from one `systemctl show`."""
        if not units:
            return {}
        names = [unit.name for unit in units]
        argv = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *map(full_name, names)]
        output = _query("", argv)
        blocks = output.strip("\n").split("\n\n")
        if len(blocks) != len(names):
            raise ServiceFailure("", f"systemctl described {len(blocks)} units, not {len(names)}", output[:LOG_LIMIT])
        return {name: parse_state(name, block) for name, block in zip(names, blocks, strict=True)}

    def definition_path(self, unit: wire.UnitEntry) -> str:
        """Return where the unit's file belongs."""
        return f"{self.root}/etc/systemd/system/{full_name(unit.name)}"

    def enable_link(self, unit: wire.UnitEntry) -> tuple[str, str] | None:
        """Return the wants link that starts the unit at boot; None for one that the boot does not start.

        Timers hang there too: timers.target is reached before the recovery can take one back.
        """
        if not unit.file or not unit.enabled:
            return None
        path = f"{self.root}/etc/systemd/system/multi-user.target.wants/{full_name(unit.name)}"
        return path, f"../{full_name(unit.name)}"

    def reload_definitions(self) -> None:
        """Let systemd read its unit files again."""
        _query("", ["systemctl", "daemon-reload"], timeout_s=90)

    def start(self, unit: wire.UnitEntry) -> None:
        """Start the unit and wait until it is active."""
        self.start_all((unit,))

    def start_all(self, units: Sequence[wire.UnitEntry]) -> None:
        """Start the units in one transaction of systemd and wait until all are active."""
        for unit in units:
            self._own(unit, "start")
        self._bring_up(units, "start")

    def restart(self, unit: wire.UnitEntry) -> None:
        """Restart the unit and wait until it is active."""
        self._bring_up((unit,), "restart")

    def stop(self, unit: wire.UnitEntry) -> None:
        """Stop the unit and wait until it has ended."""
        self._own(unit, "stop")
        try:
            self._jobs((unit,), "stop", unit.stop_timeout_s + 10)
        except ServiceFailure:
            # systemctl refuses to stop a unit that is not there, which then does not run either.
            if self.states([unit])[unit.name].active not in ("inactive", "failed"):
                raise
        # A unit that died on the way down stays `failed` and would turn every later gate red.
        _forget_failures((unit,))

    def reload(self, unit: wire.UnitEntry) -> None:
        """Signal the unit's main process, or POST to its reload URL; otherwise as its unit file says."""
        if unit.reload is None or unit.reload.kind == "again":
            self._jobs((unit,), "reload", unit.start_timeout_s)
            return
        state = self.states([unit])[unit.name]
        if not state.running:
            what = f"{unit.name} cannot reload: it is {describe(state)}"
            raise ServiceFailure(unit.name, what, self.log(unit))
        if unit.reload.kind == "http":
            post_reload(self, unit, unit.reload.value)
            return
        argv = ["systemctl", "kill", "--kill-who=main", f"--signal={unit.reload.value}", "--", full_name(unit.name)]
        _query(unit.name, argv)

    def log(self, unit: wire.UnitEntry, lines: int = 20, since: float | None = None) -> str:
        """Return the last lines of the unit's journal, or a note why there are none."""
        argv = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", f"--unit={full_name(unit.name)}"]
        if since is not None:
            argv.append(f"--since=@{int(since)}")
        try:
            return _query(unit.name, argv)[-LOG_LIMIT:]
        except ServiceFailure as failure:
            return f"(the journal could not be read: {failure.what})"

    def verify(self, units: Sequence[wire.UnitEntry], tree: str, current: str, scratch: str) -> list[str]:
        """Return what `systemd-analyze verify` holds against copies of the staged unit files."""
        folder = os.path.join(scratch, "verify-units")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        paths = []
        for unit in units:
            if unit.file:
                path = os.path.join(folder, full_name(unit.name))
                _copy_replaced(os.path.join(tree, unit.file), path, current, tree)
                paths.append(path)
        if not paths:
            return []
        try:
            done = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", *paths],
                env=environment(),
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=60,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [f"systemd-analyze verify could not judge the units: {error}"]
        return parse_verify(done.stdout + done.stderr, folder, [full_name(unit.name) for unit in units if unit.file])

    def _own(self, unit: wire.UnitEntry, verb: str) -> None:
        if not unit.file:
            raise ServiceFailure(unit.name, f"{unit.name} belongs to the system: this program does not {verb} it")

    def _bring_up(self, units: Sequence[wire.UnitEntry], verb: str) -> None:
        # Earlier failures count against the start limit, and systemd would refuse a start that can succeed now.
        _forget_failures(units)
        began = time.monotonic()
        longest_s = max(unit.start_timeout_s + (unit.stop_timeout_s if verb == "restart" else 0) for unit in units)
        self._jobs(units, verb, longest_s + 5)
        states = self.states(units)
        for unit in units:
            if not states[unit.name].running:
                wait_active(self, unit, max(1.0, unit.start_timeout_s - (time.monotonic() - began)))

    def _jobs(self, units: Sequence[wire.UnitEntry], verb: str, timeout_s: float) -> None:
        try:
            argv = ["systemctl", verb, "--", *(full_name(unit.name) for unit in units)]
            _query(units[0].name, argv, timeout_s=timeout_s)
        except ServiceFailure as failure:
            states = self.states(units)
            unit = next((unit for unit in units if not states[unit.name].running), units[0])
            state = states[unit.name]
            what = f"systemctl {verb} {full_name(unit.name)} failed: the unit is {describe(state)}"
            raise ServiceFailure(unit.name, what, f"{failure.detail}\n{self.log(unit)}".strip()) from failure


def environment() -> dict[str, str]:
    """Return the whole environment the machine's tools are started with: no pager, no colours, no translation."""
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "LANG": "C.UTF-8",
        "SYSTEMD_COLORS": "0",
        "SYSTEMD_PAGER": "",
    }


def parse_state(name: str, block: str) -> UnitState:
    """Given one block of `systemctl show`, return the state of the unit."""
    values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    active = values.get("ActiveState", "unknown")
    known = ("active", "inactive", "failed", "activating", "deactivating", "reloading")
    started_us = int(values.get("ExecMainStartTimestampMonotonic") or 0)
    return UnitState(
        name=name,
        active=active if active in known else "unknown",
        sub=values.get("SubState", ""),
        pid=int(values.get("MainPID") or 0),
        restarts=int(values.get("NRestarts") or 0),
        enabled=values.get("UnitFileState", "").startswith("enabled"),
        result=values.get("Result", ""),
        started_monotonic_s=started_us / 1e6 if started_us else None,
        present=values.get("LoadState", "loaded") != "not-found",
        counts=True,
    )


def parse_verify(output: str, folder: str, services: Sequence[str]) -> list[str]:
    """Given the output of `systemd-analyze verify`, return the complaints that make our units unfit.

    An unknown key is only a newer setting that this systemd ignores, so it passes; a value that cannot be read does
    not. What is said about other units of the machine is not ours.
    """
    problems = []
    names = "|".join(re.escape(service) for service in services)
    ours = re.compile(rf"^(?:{re.escape(folder)}/|(?:Unit )?(?:{names})\b|Failed to (?:prepare|load|create|open) )")
    for line in output.splitlines():
        if not ours.match(line) or re.search(r"Unknown (key|section|lvalue)", line):
            continue
        problems.append(line.replace(f"{folder}/", ""))
    return problems


def _forget_failures(units: Sequence[wire.UnitEntry]) -> None:
    # Refused for a unit that is not loaded, which then has no failure either; the others are seen to all the same.
    with contextlib.suppress(ServiceFailure):
        _query(units[0].name, ["systemctl", "reset-failed", "--", *(full_name(unit.name) for unit in units)])


def full_name(name: str) -> str:
    """Return the unit's full name: ours are named without suffix, the machine's own may have one."""
    return name if name.endswith(SUFFIXES) else f"{name}.service"


def _copy_replaced(source: str, target: str, old: str, new: str) -> None:
    with open(source, encoding="utf-8") as file:
        text = file.read()
    with open(target, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def _query(unit: str, argv: list[str], timeout_s: float = QUERY_TIMEOUT_S) -> str:
    try:
        done = subprocess.run(
            argv, env=environment(), capture_output=True, text=True, errors="replace", check=False, timeout=timeout_s
        )
    except FileNotFoundError as error:
        raise ServiceFailure(unit, f"{argv[0]} is not on this machine: it does not run systemd") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceFailure(unit, f"{' '.join(argv[:2])} did not end within {timeout_s:g} s") from error
    if done.returncode:
        detail = (done.stderr or done.stdout).strip()[-LOG_LIMIT:]
        raise ServiceFailure(unit, f"{' '.join(argv[:2])} ended with {done.returncode}: {detail}", detail)
    return done.stdout
