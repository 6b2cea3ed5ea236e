"""Finish what a run that died has left: forward when it had passed its gates, back otherwise."""

from __future__ import annotations

from obstack.agent import wire
from obstack.operations.asking import ask
from obstack.ports import Channel, Reporter


def recover(channel: Channel, reporter: Reporter, *, who: str, wait_s: float = 0.0) -> wire.Reply:
    """Bring the node into the old or the new generation, whole. Every other verb does this first by itself."""
    return ask(channel, wire.Request("recover", {"boot": False}, who=who, wait_s=wait_s), reporter)
