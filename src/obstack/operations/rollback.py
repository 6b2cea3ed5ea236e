"""Go back to an earlier generation: the one before, one named by its digest, or the one in force at a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from obstack.agent import wire
from obstack.errors import UsageError
from obstack.operations.asking import ask
from obstack.ports import Channel, Reporter


def rollback(
    channel: Channel, goal: str | dict[str, Any], reporter: Reporter, *, who: str, wait_s: float = 0.0
) -> wire.Reply:
    """Switch to the goal: `previous`, the beginning of a generation's identity, or {"at": unix time}.

    It is the same transaction as an apply: staged, gated, undone when its gate is red. Return the agent's reply.
    """
    return ask(channel, wire.Request("rollback", {"to": goal}, who=who, wait_s=wait_s), reporter)


def parse_timestamp(text: str) -> float:
    """Given `20261124T101500Z` or an ISO 8601 time (without zone: UTC), return its unix time.

    Raises UsageError for anything else.
    """
    compact = re.fullmatch(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z?", text)
    try:
        parsed = datetime.fromisoformat("{}-{}-{}T{}:{}:{}+00:00".format(*compact.groups()) if compact else text)
    except ValueError:
        raise UsageError(
            code="bad-timestamp",
            what=f"{text!r} is not a time.",
            where="the option --backup",
            state="nothing was touched",
            do="write it as 20261124T101500Z or 2026-11-24T10:15:00Z; to see them all: observability rollback --list",
        ) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
