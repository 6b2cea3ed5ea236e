"""Taking everything off the machine again: units, links, the state folder; with a purge also data and users.

An uninstall that was begun is always ended, also by recovery: every step finds what is left of its work. So it is
not interrupted either: what a person broke off must not be ended by the next command that only looks.
"""

from __future__ import annotations

import contextlib
import os

from obstack.agent import audit, durable, impact, outward, stage, transition, wire
from obstack.agent.faults import AgentError
from obstack.agent.machine import Machine
from obstack.agent.record import Writer

KEPT = ("audit.jsonl", "ledger.json", "lock", "transactions", "snapshots")
"""What an uninstall without purge leaves in the state folder: what we made, what was done, and copies of data."""


def uninstall(machine: Machine, *, purge: bool) -> wire.Reply:
    """Remove what we made; without `purge`, data directories and users stay. The caller holds the lock.

    Raises AgentError; running it again goes on where it stopped.
    """
    machine.interrupts.check()
    previous = machine.current()
    writer = audit.begin(machine, verb="uninstall", previous=previous, target=None)
    try:
        writer.append("uninstalling", purge=purge)
        dismantle(machine, writer, purge=purge)
    finally:
        writer.close()
    data = {"purged": purge, **({} if purge else {"audit_log": machine.paths.audit})}
    return wire.Reply("committed", None, previous, data=data)


def dismantle(machine: Machine, writer: Writer, *, purge: bool) -> None:
    """Do, or end, an uninstall. Idempotent. Raises AgentError."""
    try:
        with machine.interrupts.shielded():
            _dismantle(machine, writer, purge)
    except AgentError as error:
        error.state = "the uninstall was begun and is not at its end; whatever command comes next goes on with it"
        raise


def _dismantle(machine: Machine, writer: Writer, purge: bool) -> None:
    manifest = _leaving(machine, writer)
    if manifest is not None:
        actions = impact.decide(manifest, None)
        transition.Transition(machine, writer, manifest, None, actions, resolute=True).run()
    else:
        transition.flip(machine, None)
        outward.converge(machine, None)
    if not purge:
        for name in sorted(os.listdir(machine.paths.state)):
            if name not in KEPT:
                # Crash here: a part of the store is gone and nothing refers to it; recovery removes the rest.
                durable.crash_point("uninstall-state")
                _remove(os.path.join(machine.paths.state, name))
        writer.append("committed", generation=None)
        return
    outward.purge(machine)
    writer.append("committed", generation=None, purge=True)
    audit.release(machine)
    # Crash here: only our own folder is left, and its record says that all else is done; a purge again removes it.
    durable.crash_point("purge-state")
    durable.remove_tree(machine.paths.state)


def _leaving(machine: Machine, writer: Writer) -> wire.Manifest | None:
    """Return what is to be taken off: the generation in force, or the one that was when a run that died began.

    That one still says which units to stop and whose service manager has to forget them.
    """
    begin = writer.view().last("begin") or {}
    identity = machine.current() or begin.get("previous")
    with contextlib.suppress(AgentError):  # a damaged generation must not keep anybody from getting rid of it
        return stage.load_manifest(machine, identity) if identity else None
    return None


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        durable.remove_tree(path)
    else:
        durable.remove(path)
