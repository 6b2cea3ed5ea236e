"""The verbs of dashboards: choose some, and see what people changed of them in Grafana."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from obstack.errors import UsageError
from obstack.model.words import nearest
from obstack.operations.asking import read
from obstack.ports import Channel, Reporter

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Board:
    """A dashboard of the generation in force. `document` is Grafana's own, where somebody changed it there."""

    name: str
    title: str
    document: Mapping[str, Any] | None


def boards(channel: Channel, reporter: Reporter) -> tuple[Board, ...]:
    """Given the way to the server, return its dashboards with what Grafana has of them. Raises StackError."""
    found = read(channel, "boards", reporter).data["dashboards"]
    return tuple(Board(board["name"], board["title"], board.get("document")) for board in found)


def changed_boards(found: Sequence[Board], names: Sequence[str]) -> tuple[Board, ...]:
    """Given the server's dashboards and names, by default all, return those that were changed in Grafana.

    Raises UsageError for a name that there is not.
    """
    need_dashboards({board.name: board for board in found}, names)
    return tuple(board for board in found if board.document is not None and (not names or board.name in names))


def need_dashboards(known: Mapping[str, Kind], names: Sequence[str]) -> Mapping[str, Kind]:
    """Given all dashboards and names, return those. Raises UsageError with the nearest name for one that is not."""
    for name in names:
        if name not in known:
            raise UsageError(
                code="dashboard-unknown",
                what=f"There is no dashboard {name}. {nearest(name, list(known))}".rstrip(),
                where="the name of the dashboard",
                state="nothing was written",
                do="observability dashboard list",
            )
    return {name: known[name] for name in names}
