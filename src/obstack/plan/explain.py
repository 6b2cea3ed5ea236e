"""Puts a plan together: what would change, what that means for each unit, and why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from obstack.agent import impact
from obstack.agent.wire import Action, Drift, Manifest, encode
from obstack.plan.closing import Closing
from obstack.plan.diff import Difference, decide_difference


@dataclass(frozen=True)
class Plan:
    """What an apply would do to a node.

    `current` is the generation in force, None on a machine without one; `drift` is what apply would heal; `actions`
    holds one entry for each unit, also for those with nothing to do; `closings` are programs of others that the
    server's firewall will cut off.
    """

    node: str
    generation: str
    current: str | None
    difference: Difference
    drift: tuple[Drift, ...]
    actions: tuple[Action, ...]
    closings: tuple[Closing, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether an apply would change nothing."""
        return self.generation == self.current and not self.drift and not self.acting

    @property
    def acting(self) -> tuple[Action, ...]:
        """The actions that do something."""
        return tuple(action for action in self.actions if action.action != "none")

    @property
    def likeness(self) -> tuple[object, ...]:
        """What plans of several nodes have in common when they are the same change: subjects and acts, no content."""
        difference = self.difference
        return (
            self.current is None,
            tuple((change.kind, change.path) for change in difference.files),
            difference.artifacts,
            tuple((change.kind, change.sort, change.subject) for change in (*difference.outward, *difference.proofs)),
            tuple((item.kind, item.subject) for item in self.drift),
            tuple((action.unit, action.action) for action in self.acting),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return {
            "node": self.node,
            "generation": self.generation,
            "current": self.current,
            "changes": not self.empty,
            "files": [encode(change) for change in self.difference.files],
            "artifacts": [encode(change) for change in self.difference.artifacts],
            "outward": [encode(change) for change in self.difference.outward],
            "proofs": [encode(change) for change in self.difference.proofs],
            "drift": [encode(item) for item in self.drift],
            "units": [encode(action) for action in self.actions],
            "closes": [{**encode(closing), "admit": closing.admission} for closing in self.closings],
        }


def decide_plan(
    before: Manifest | None,
    after: Manifest,
    *,
    drift: Iterable[Drift] = (),
    running: Collection[str] = (),
    contents_before: Mapping[str, bytes] | None = None,
    contents_after: Mapping[str, bytes] | None = None,
    closings: Iterable[Closing] = (),
) -> Plan:
    """Given the generation in force, the desired one, and what was observed, return the plan.

    The decision about units is the agent's own (agent/impact.py), so that plan and apply cannot disagree.
    """
    drift = tuple(drift)
    return Plan(
        node=after.node,
        generation=after.identity,
        current=before.identity if before else None,
        difference=decide_difference(before, after, contents_before or {}, contents_after or {}),
        drift=drift,
        actions=impact.decide(before, after, drift, running),
        closings=tuple(closings),
    )
