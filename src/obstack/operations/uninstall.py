"""Take the stack off a node: what we made goes, data stays, unless a purge is asked for."""

from __future__ import annotations

from obstack.agent import wire
from obstack.operations.asking import ask
from obstack.ports import Channel, Reporter


def uninstall(channel: Channel, reporter: Reporter, *, purge: bool, who: str, wait_s: float = 0.0) -> wire.Reply:
    """Stop the units and remove what leads to them; with `purge` also exactly what the ledger says we made."""
    return ask(channel, wire.Request("uninstall", {"purge": purge}, who=who, wait_s=wait_s), reporter)
