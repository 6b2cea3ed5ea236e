"""Units of the machine's own that read a file of ours: what must hold before one of them is acted on.

They are never started or stopped. One that does not run reads the file when somebody starts it, so its checker must
have accepted the file as well before it stays.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping

from obstack.agent import wire
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.services import ServiceFailure, UnitState
from obstack.agent.systemd import environment

CHECK_TIMEOUT_S = 60
OUTPUT_LIMIT = 16_384


def acted_on(manifest: wire.Manifest, actions: Iterable[wire.Action]) -> tuple[wire.UnitEntry, ...]:
    """Return the units of the machine's own that the actions reload or restart."""
    acted = {action.unit for action in actions if action.action in ("reload", "restart")}
    return tuple(unit for unit in manifest.units if not unit.file and unit.name in acted)


def refuse(units: Iterable[wire.UnitEntry], states: Mapping[str, UnitState]) -> None:
    """Before anything is changed, look at the foreign units that are to be acted on.

    Raises AgentError `unit-absent` for one that is not on the machine, and `foreign-configuration-refused` when its
    own checker does not accept what is there already: whose fault the next refusal is could not be told.
    """
    for unit in units:
        if not states[unit.name].present:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="unit-absent",
                what=f"{unit.name} is not on this machine, and a file of this generation is for it.",
                where=f"unit {unit.name}",
                do="install the service or disable its module, then run: observability apply",
                state="nothing was changed",
            )
        try:
            demand_accepted(unit)
        except ServiceFailure as failure:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="foreign-configuration-refused",
                what=f"The configuration of {unit.name} is refused by its own checker already, before this change.",
                where=" ".join(unit.check),
                do=f"correct the configuration of {unit.name}, then run: observability apply",
                state="nothing was changed",
                detail=failure.detail,
            ) from failure


def demand_accepted(unit: wire.UnitEntry) -> None:
    """Let the unit's own checker judge its whole configuration as it is now. Raises ServiceFailure with its words."""
    if not unit.check:
        return
    try:
        done = subprocess.run(
            unit.check,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
        code, output = done.returncode, f"{done.stdout}{done.stderr}".strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        code, output = -1, str(error)
    if code:
        what = f"{unit.name} would not take the change: {' '.join(unit.check)} refused its configuration"
        raise ServiceFailure(unit.name, what, output[-OUTPUT_LIMIT:])
