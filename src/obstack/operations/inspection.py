"""What a node is in now: its generation, the drift from it, the units, the last runs and the facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from obstack.agent import wire
from obstack.agent.services import UnitState
from obstack.operations.asking import read, taken
from obstack.plan.facts import shaped
from obstack.ports import Channel, Reporter


@dataclass(frozen=True)
class Run:
    """One run that the node remembers. `running` tells one that is under way from one that died."""

    sequence: int
    name: str
    verb: str
    who: str
    began: float | None
    ended: float | None
    outcome: str | None
    running: bool
    previous: str | None
    target: str | None
    evidence: bool


@dataclass(frozen=True)
class Inspection:
    """One look at a node. `manifest` is None where nothing is in force; `transactions` has the newest run first.

    `additions` are what an administrator has added to units of ours: no drift, and left as it is.
    """

    node: str
    generation: str | None
    manifest: wire.Manifest | None
    drift: tuple[wire.Drift, ...]
    units: tuple[UnitState, ...]
    transactions: tuple[Run, ...]
    facts: tuple[wire.Fact, ...]
    additions: tuple[wire.Drift, ...] = ()

    @property
    def running(self) -> frozenset[str]:
        """The names of the units that run."""
        return frozenset(unit.name for unit in self.units if unit.running)


def inspect(channel: Channel, reporter: Reporter, *, question: Mapping[str, Sequence[str]] | None = None) -> Inspection:
    """Look at a node in one round trip; nothing is changed.

    With a question (the names of units, paths, packages and commands to look for) the facts are gathered too.
    """
    reply = read(channel, "inspect", reporter, {} if question is None else {"facts": dict(question)})
    return taken(channel, lambda: _inspection(channel.node, reply))


def _inspection(node: str, reply: wire.Reply) -> Inspection:
    """The node is called what the channel calls it: no machine tells under whose name it is shown."""
    data = reply.data
    manifest = data.get("manifest")
    return Inspection(
        node=node,
        generation=reply.generation,
        manifest=wire.decode(wire.Manifest, manifest) if manifest else None,
        drift=reply.drift,
        units=tuple(wire.decode(UnitState, unit) for unit in data.get("units", ())),
        transactions=tuple(wire.decode(Run, run) for run in data.get("transactions", ())),
        facts=tuple(shaped(wire.decode(wire.Fact, fact)) for fact in data.get("facts", ())),
        additions=tuple(wire.decode(wire.Drift, item) for item in data.get("additions", ())),
    )


def current_generation(channel: Channel, reporter: Reporter) -> str | None:
    """Ask a node which generation is in force, which costs next to nothing; None where nothing is."""
    return read(channel, "current", reporter).generation


def front_door(manifest: wire.Manifest | None) -> str | None:
    """Given a manifest, return the URL of its front door, as its own gate knows it; None where there is none."""
    gates = manifest.gates if manifest else ()
    for gate in gates:
        if gate.kind == "front-door":
            port = gate.params["https_port"]
            return f"https://{gate.params['host']}{'' if port == 443 else f':{port}'}/"
    return None
