"""Service managers as one protocol: what the agent may ask of systemd or of supervisor.

Owns the states of units and the contract of acting on them. The two implementations are agent/systemd.py and
agent/supervisor.py; agent/managers.py chooses. Installing definitions and links is not done here: the manager only says
where they belong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from obstack.agent import wire

AUTO_RESTART = ("auto-restart", "auto-restart-queued")


class ServiceFailure(Exception):
    """A service manager or a unit did not do what it was asked.

    `unit` is empty when the manager itself is at fault. `detail` is evidence: the unit's last log lines or the
    manager's answer.
    """

    def __init__(self, unit: str, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.unit = unit
        self.what = what
        self.detail = detail


@dataclass(frozen=True)
class UnitState:
    """One look at a unit.

    `active` is active, inactive, failed, activating, deactivating, reloading or unknown; `sub` is the manager's finer
    word. `pid` is 0 when nothing runs. `restarts` counts the manager's own restarts, if it is one that `counts` them
    (supervisor is not). `started_monotonic_s` is on the clock of time.monotonic(). A unit that the manager
    knows nothing of is not `present`.
    """

    name: str
    active: str
    sub: str = ""
    pid: int = 0
    restarts: int = 0
    enabled: bool = False
    result: str = ""
    started_monotonic_s: float | None = None
    present: bool = True
    counts: bool = False

    @property
    def running(self) -> bool:
        """Return whether the unit runs; a unit that reloads does."""
        return self.active in ("active", "reloading")

    @property
    def broken(self) -> bool:
        """Return whether the unit has failed, or died and waits to be started again by the manager."""
        return self.active == "failed" or self.sub in AUTO_RESTART


class ServiceManager(Protocol):
    """What the agent asks of a service manager. Every method may raise ServiceFailure."""

    def states(self, units: Sequence[wire.UnitEntry]) -> dict[str, UnitState]:
        """Return the state of every unit given, by name, in one request. A unit that does not exist is inactive."""

    def definition_path(self, unit: wire.UnitEntry) -> str:
        """Return the absolute path at which the manager reads the unit's definition."""

    def enable_link(self, unit: wire.UnitEntry) -> tuple[str, str] | None:
        """Return (absolute path, relative target) of the link that starts the unit at boot; None: no link is needed."""

    def reload_definitions(self) -> None:
        """Read all definitions again. No running unit is acted on."""

    def start(self, unit: wire.UnitEntry) -> None:
        """Start the unit and wait until it runs; a running unit stays as it is. A failure carries the unit's log."""

    def start_all(self, units: Sequence[wire.UnitEntry]) -> None:
        """Start units of which none needs another, and wait until all run; the failure is of the first that does not.

        The others are started all the same.
        """

    def stop(self, unit: wire.UnitEntry) -> None:
        """Stop the unit and wait until it has ended; an absent or stopped unit is fine."""

    def restart(self, unit: wire.UnitEntry) -> None:
        """Stop and start the unit, and wait until it runs."""

    def reload(self, unit: wire.UnitEntry) -> None:
        """Let the running unit take its new configuration, in the way its ReloadEntry names."""

    def log(self, unit: wire.UnitEntry, lines: int = 20, since: float | None = None) -> str:
        """Return the last `lines` lines the unit wrote, if they are known not before `since` (unix time)."""

    def verify(self, units: Sequence[wire.UnitEntry], tree: str, current: str, scratch: str) -> list[str]:
        """Return what is wrong with the units' definitions in the staged `tree`; an empty list is a pass.

        `current` is the path by which the definitions name the tree once it is switched on; `scratch` is an empty
        private folder.
        """


def wait_active(manager: ServiceManager, unit: wire.UnitEntry, timeout_s: float) -> UnitState:
    """Wait until the unit runs and return its state.

    Raises ServiceFailure at once when the unit has failed or waits for an automatic restart, and after `timeout_s`.
    """
    return wait_state(manager, unit, lambda state: state.running, timeout_s, "become active")


def wait_state(
    manager: ServiceManager,
    unit: wire.UnitEntry,
    wanted: Callable[[UnitState], bool],
    timeout_s: float,
    verb: str,
) -> UnitState:
    """Wait until `wanted` holds for the unit's state and return it; raise ServiceFailure as wait_active does."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.02
    while True:
        state = manager.states([unit])[unit.name]
        if wanted(state):
            return state
        if state.broken:
            raise ServiceFailure(unit.name, f"{unit.name} failed to {verb}: {describe(state)}", manager.log(unit))
        if time.monotonic() > deadline:
            what = f"{unit.name} did not {verb} within {timeout_s:g} s: {describe(state)}"
            raise ServiceFailure(unit.name, what, manager.log(unit))
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.25)


def post_reload(manager: ServiceManager, unit: wire.UnitEntry, url: str) -> None:
    """POST to the unit's reload URL; raise ServiceFailure with the answer and the unit's log when it is refused."""
    import urllib.error  # heavy, and needed by few runs
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=b"", method="POST")  # noqa: S310 - the URL is the manifest's own
    try:
        with opener.open(request, timeout=unit.start_timeout_s):
            return
    except urllib.error.HTTPError as error:
        with error:
            answer = error.read(4096).decode("utf-8", "replace").strip()
        what = f"{unit.name} refused to reload: HTTP {error.code}"
        raise ServiceFailure(unit.name, what, f"{answer}\n{manager.log(unit)}") from error
    except OSError as error:
        what = f"{unit.name} could not be asked to reload: {error}"
        raise ServiceFailure(unit.name, what, manager.log(unit)) from error


def describe(state: UnitState) -> str:
    """Return the state in a few words for a person: `failed (exit-code)`."""
    finer = [word for word in (state.sub, state.result) if word and word not in (state.active, "success")]
    return f"{state.active} ({', '.join(finer)})" if finer else state.active
