"""Read the logs of a node's units, whichever engine keeps them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from obstack.agent import wire
from obstack.errors import UsageError
from obstack.operations.asking import ask, demand
from obstack.operations.rollback import parse_timestamp
from obstack.ports import Channel, Clock, Reporter

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Query:
    """Which lines: of one unit or of all, between two unix times, matching a regular expression, the last `lines`.

    `host` is one that ships its journal to the node; None means the node itself.
    """

    unit: str | None = None
    since: float | None = None
    grep: str | None = None
    lines: int = 100
    follow: bool = False
    until: float | None = None
    host: str | None = None


def read_logs(channel: Channel, query: Query, reporter: Reporter, on_log: Callable[[wire.Event], None]) -> wire.Reply:
    """Pass every line to `on_log` as it comes; with `follow`, until interrupted.

    Raises UsageError for a pattern that is no regular expression, and the reply's fault.
    """
    require_pattern(query.grep)
    params = {
        "unit": query.unit,
        "since": query.since,
        "grep": query.grep,
        "lines": query.lines,
        "follow": query.follow,
        "until": query.until,
        "host": query.host,
    }
    return demand(ask(channel, wire.Request("logs", params), reporter, on_log=on_log))


def require_pattern(grep: str | None) -> None:
    """Given what `--grep` was given, raise UsageError when it is no regular expression."""
    try:
        re.compile(grep or "")
    except re.error as error:
        raise UsageError(
            code="bad-pattern",
            what=f"{grep!r} is not a regular expression: {error}.",
            where="the option --grep",
            state="nothing was touched",
            do=f"observability logs --grep {shlex.quote(re.escape(grep or ''))}    to look for these very characters",
        ) from None


def parse_moment(text: str, clock: Clock, option: str) -> float:
    """Given how long ago (`15m`, `2h`), or a time as for rollback, return the unix time. Raises UsageError."""
    ago = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if ago:
        return clock.now() - int(ago[1]) * UNIT_SECONDS[ago[2]]
    try:
        return parse_timestamp(text)
    except UsageError:
        raise UsageError(
            code="bad-time",
            what=f"{text!r} is neither a length of time nor a time.",
            where=f"the option {option}",
            state="nothing was touched",
            do="write 30s, 15m, 2h, 3d or a time such as 2026-11-24T10:15:00Z",
        ) from None
