"""The generations that a node keeps: list them, show one, compare two, and drop the oldest."""

from __future__ import annotations

from dataclasses import dataclass

from obstack.agent import wire
from obstack.operations.asking import ask, contents_of, demand, read, taken
from obstack.plan.diff import Difference, decide_difference
from obstack.ports import Channel, Reporter


@dataclass(frozen=True)
class Generation:
    """One kept generation. `committed` are the unix times at which it came into force, the newest last."""

    identity: str
    committed: tuple[float, ...]
    current: bool


def list_generations(channel: Channel, reporter: Reporter) -> tuple[Generation, ...]:
    """Return the generations that the node keeps, the one committed last first."""
    reply = read(channel, "generations", reporter)
    return taken(channel, lambda: tuple(wire.decode(Generation, item) for item in reply.data["generations"]))


def show_generation(channel: Channel, identity: str, reporter: Reporter) -> wire.Manifest:
    """Given the beginning of an identity, return that generation's manifest. Raises UsageError when none fits."""
    reply = read(channel, "manifest", reporter, {"generation": identity})
    return taken(channel, lambda: wire.decode(wire.Manifest, reply.data["manifest"]))


def compare_generations(channel: Channel, before: str, after: str, reporter: Reporter) -> Difference:
    """Given the beginnings of two identities, return what differs; what is secret is not among the contents."""
    reply = read(channel, "diff", reporter, {"from": before, "to": after})
    return taken(
        channel,
        lambda: decide_difference(
            wire.decode(wire.Manifest, reply.data["from"]),
            wire.decode(wire.Manifest, reply.data["to"]),
            *(contents_of(reply),) * 2,
        ),
    )


def prune_generations(
    channel: Channel, keep: int, reporter: Reporter, *, who: str, wait_s: float = 0.0
) -> tuple[str, ...]:
    """Drop all but the newest `keep` generations and what only they used; return the identities dropped."""
    reply = demand(ask(channel, wire.Request("prune", {"keep": keep}, who=who, wait_s=wait_s), reporter))
    return taken(channel, lambda: tuple(str(identity) for identity in reply.data.get("removed", ())))
