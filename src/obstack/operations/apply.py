"""Make a node run the desired generation: one transaction, proven, gated, and undone by itself when a gate is red."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from obstack.agent import wire
from obstack.operations.asking import ask
from obstack.operations.desired import Desired
from obstack.ports import Channel, Reporter


@dataclass(frozen=True)
class Kept:
    """Something of a unit's data that a run has kept: what it is, and where."""

    unit: str
    what: str
    path: str


def kept_of(reply: wire.Reply) -> tuple[Kept, ...]:
    """Given the reply to a change, return what was kept of units' data; what has another form tells nothing."""
    items = reply.data.get("kept")
    try:
        return tuple(wire.decode(Kept, item) for item in items) if isinstance(items, list) else ()
    except wire.WireError:
        return ()


def apply(
    channel: Channel,
    desired: Desired,
    reporter: Reporter,
    *,
    who: str,
    wait_s: float = 0.0,
    unproven: Collection[str] = (),
) -> wire.Reply:
    """Apply the desired generation and return the agent's reply; its fault, if any, says in which state the node is.

    A node that is as desired costs one round trip and stays untouched. `wait_s` is how long to wait for another run.
    The server's gates are not judged by monitored hosts that are `unproven`.
    """
    params = {"unproven": sorted(unproven)} if unproven else {}
    request = wire.Request("apply", params, manifest=desired.manifest, who=who, wait_s=wait_s)
    return ask(channel, request, reporter, contents=desired.contents)
