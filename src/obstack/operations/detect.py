"""Find out which services a machine has, and what its host file should say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obstack.agent import wire
from obstack.catalog.modules import ModuleSet
from obstack.operations.asking import read, taken
from obstack.plan.detection import Detected, decide_detected, left_out, looks_of, missing, proposal
from obstack.plan.facts import shaped
from obstack.ports import Channel, HostEditor, KeyChange, Reporter


@dataclass(frozen=True)
class Detection:
    """What was detected on a node, and what its host file should say: suite, architecture and modules."""

    node: str
    detected: tuple[Detected, ...]
    proposed: Mapping[str, Any]
    left_out: tuple[Detected, ...]


def detect(channel: Channel, modules: ModuleSet, reporter: Reporter) -> Detection:
    """Given a channel and all modules, return which of them the machine has the services for. It is not changed.

    Raises Unreachable and what the agent refuses.
    """
    reporter.step(f"Looking at {channel.node}")
    reply = read(channel, "detect", reporter, {"looks": looks(modules)})
    return taken(channel, lambda: judge_seen(channel.node, modules, reply.data))


def looks(modules: ModuleSet) -> list[Any]:
    """Given all modules, return what an agent is to look for, as it goes into a request."""
    return [wire.encode(one) for one in looks_of([shipped.module for shipped in modules.values()])]


def judge_seen(node: str, modules: ModuleSet, seen: Mapping[str, Any]) -> Detection:
    """Given what an agent answered (`sightings` and `facts`), return what it means. Raises ValueError, LookupError."""
    sightings = [wire.decode(wire.Sighting, item) for item in seen["sightings"]]
    facts = [shaped(wire.decode(wire.Fact, item)) for item in seen["facts"]]
    detected = decide_detected([shipped.module for shipped in modules.values()], sightings)
    return Detection(node, detected, proposal(detected, facts), left_out(detected))


def write_detected(editor: HostEditor, name: str, written: Mapping[str, Any], detection: Detection) -> tuple[str, ...]:
    """Given a host, what its file says and what was detected, add to the file what it lacks; return the keys added.

    Raises ConfigurationError when the site would not be valid; then nothing was written.
    """
    lacking = missing(detection.proposed, written)
    if lacking:
        editor.edit(name, [KeyChange(path, value) for path, value in lacking])
    return tuple(".".join(path) for path, _ in lacking)
