"""Whether the state folder is still the one that this run began in, with real folders in it.

Its owner may have put it elsewhere by a link, before a run. What becomes a link in the midst of one, or inside it,
would have the agent write where it was never asked to.
"""

from __future__ import annotations

import os
import stat

from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.machine import Machine


def begin(machine: Machine) -> None:
    """Remember which folder the state folder is. Raises AgentError `state-swapped`."""
    status = os.stat(machine.paths.state)
    machine.state_folder = (status.st_dev, status.st_ino)
    refuse(machine)


def refuse(machine: Machine) -> None:
    """Raise AgentError `state-swapped` when the state folder is another one, or something in it is no real folder."""
    if machine.state_folder is not None:
        try:
            status = os.stat(machine.paths.state)
            same = (status.st_dev, status.st_ino) == machine.state_folder
        except OSError:
            same = False
        if not same:
            raise _swapped(machine.paths.state, "is not the folder any more that this run began in")
    paths = machine.paths
    store = os.path.dirname(paths.blobs)
    own = (paths.generations, store, paths.blobs, paths.artifacts, paths.transactions, paths.snapshots)
    for path in (*own, paths.agents, paths.scratch):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(mode):
            raise _swapped(path, "is no real folder")


def _swapped(path: str, what: str) -> AgentError:
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="state-swapped",
        what=f"{path} {what}: somebody has put something else in its place.",
        where=path,
        do=f"ls -ld {path}    find out who did that, put the folder back, and run: observability recover",
    )
