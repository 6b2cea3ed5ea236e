"""Gates of the firewall: what is in force is what is wanted, and the machine is still reached."""

from __future__ import annotations

import os

from obstack.agent import wire
from obstack.agent.faults import AgentError
from obstack.agent.gate_probe import GateContext, Probe, Red
from obstack.agent.paths import FIREWALL_UNIT

CONFIRMATION_S = 15.0


def in_force(_gate: wire.GateEntry, context: GateContext) -> Probe:
    """`firewall` {}: the rules in force are those of the generation."""
    from obstack.agent import firewall, openings  # not every node has one

    def probe() -> str:
        try:
            found = firewall.differences(context.root, openings.read_rules(os.path.join(context.tree, firewall.FILE)))
        except AgentError as error:
            raise Red(error.what, error.detail or "") from error
        if found:
            raise Red("; ".join(found))
        return "the rules in force are those of the generation"

    return probe


def reachable(_gate: wire.GateEntry, context: GateContext) -> Probe:
    """`reachable` {}: after an act on the firewall, the controller opens a new connection to this machine.

    On a way back nobody is asked: what is put back let the controller in before, and its connection may be cut.
    """

    def probe() -> str:
        if FIREWALL_UNIT not in context.acted or context.confirm is None:
            return "the firewall was not changed"
        if not context.confirm(CONFIRMATION_S):
            raise Red(f"no new connection to this machine was made within {CONFIRMATION_S:.0f} s of the change")
        return "the controller reaches this machine after the change"

    return probe
