"""What the firewall of a machine lets in, as the machine itself says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from obstack.agent.openings import Opening, decode
from obstack.operations.asking import taken
from obstack.operations.inspection import inspect
from obstack.ports import Channel, Reporter


@dataclass(frozen=True)
class Firewall:
    """The firewall of a node. `method` is nft or ufw, None where there is none of ours.

    `closed` is whether all else is shut; otherwise the ports of the openings are shut to all but their sources, and no
    other port is judged. `undone` says how what is in force differs from it.
    """

    node: str
    method: str | None = None
    closed: bool = False
    openings: tuple[Opening, ...] = ()
    undone: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        openings = [
            {"protocol": o.protocol, "port": o.port, "from": list(o.sources), "purpose": o.purpose}
            for o in self.openings
        ]
        return {
            "node": self.node,
            "method": self.method,
            "closed": self.closed,
            "openings": openings,
            "undone": list(self.undone),
        }


def show_firewall(channel: Channel, reporter: Reporter) -> Firewall:
    """Ask a node for its firewall. Nothing is changed. Raises Unreachable."""
    inspection = inspect(channel, reporter, question={"names": ["firewall"]})
    found = next((fact.value for fact in inspection.facts if fact.state == "known"), None)
    if found is None:
        return Firewall(inspection.node)
    return Firewall(
        node=inspection.node,
        method=found["method"],
        closed=found["closed"],
        openings=taken(channel, lambda: tuple(decode(opening) for opening in found["openings"])),
        undone=tuple(item.detail for item in inspection.drift if item.kind == "unit-undone"),
    )
