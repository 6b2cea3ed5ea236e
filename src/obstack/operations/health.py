"""Ask a node to prove that it works: every gate of the generation in force, the active ones too."""

from __future__ import annotations

from obstack.agent import wire
from obstack.operations.asking import ask
from obstack.ports import Channel, Reporter


def check_health(channel: Channel, reporter: Reporter) -> wire.Reply:
    """Run all gates and return the reply; it carries a fault of exit code 1 when one is red or nothing is deployed."""
    return ask(channel, wire.Request("health"), reporter)
