"""Which programs its firewall would cut off from other machines, and what to write to keep them reachable. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from obstack.agent.wire import Fact

if TYPE_CHECKING:
    from obstack.agent.openings import Opening

FACTS: Final = ("listeners", "ssh", "firewall")
"""What has to be looked at for it."""


@dataclass(frozen=True)
class Closing:
    """A listening program that is no part of the stack and that other machines will no longer reach.

    `program` and `unit` are empty where they could not be seen.
    """

    protocol: str
    port: int
    address: str
    program: str
    unit: str

    @property
    def owner(self) -> str:
        """Return who listens, for people."""
        named = f"{self.program} ({self.unit})" if self.unit and self.program else self.unit or self.program
        return named or "a process that cannot be seen"

    @property
    def admission(self) -> dict[str, Any]:
        """Return the entry of `server.firewall.admit` that keeps it reachable."""
        protocol = {} if self.protocol == "tcp" else {"protocol": self.protocol}
        return {"port": self.port, **protocol, "comment": self.program or "unknown"}

    @property
    def entry(self) -> str:
        """Return that entry on one line, which is YAML."""
        return json.dumps(self.admission)


def decide_closings(
    facts: Iterable[Fact], openings: Iterable[Opening], ours: Collection[str] = ()
) -> tuple[Closing, ...]:
    """Given what was observed, what will be let in, and the names of our units, return what will be cut off anew.

    What a firewall of ours shuts already is not told again. Facts that are missing say nothing.
    """
    known = {fact.name: fact.value for fact in facts if fact.state == "known"}
    before = known.get("firewall")
    open_after = {(opening.protocol, opening.port) for opening in openings}
    open_after |= {("tcp", port) for port in known.get("ssh", ())}
    found: dict[tuple[str, int, str], Closing] = {}
    for listener in known.get("listeners", ()):
        closing = _closing(listener)
        key = (closing.protocol, closing.port)
        mine = closing.unit.removesuffix(".service") in ours
        if not mine and key not in open_after and _outside(closing.address) and _open(key, before):
            found.setdefault((*key, closing.program), closing)
    return tuple(found[key] for key in sorted(found))


def _open(key: tuple[str, int], firewall: Mapping[str, Any] | None) -> bool:
    """Return whether a port can be reached under a firewall of ours that is in force, as far as that goes."""
    if firewall is None or not firewall["closed"]:
        return True
    return key in {(opening["protocol"], opening["port"]) for opening in firewall["openings"]}


def _closing(listener: Mapping[str, Any]) -> Closing:
    return Closing(
        protocol=listener.get("protocol", "tcp"),
        port=listener["port"],
        address=listener["address"],
        program=listener.get("program") or "",
        unit=listener.get("unit") or "",
    )


def _outside(address: str) -> bool:
    return not address.startswith("127.") and address != "::1"
