"""Make a node run the desired generation: one transaction, proven, gated, and undone by itself when a gate is red."""

from __future__ import annotations

from obstack.agent import wire
from obstack.operations.asking import ask
from obstack.operations.desired import Desired
from obstack.ports import Channel, Reporter


def apply(channel: Channel, desired: Desired, reporter: Reporter, *, who: str, wait_s: float = 0.0) -> wire.Reply:
    """Apply the desired generation and return the agent's reply; its fault, if any, says in which state the node is.

    A node that is as desired costs one round trip and stays untouched. `wait_s` is how long to wait for another run.
    """
    request = wire.Request("apply", manifest=desired.manifest, who=who, wait_s=wait_s)
    return ask(channel, request, reporter, contents=desired.contents)
