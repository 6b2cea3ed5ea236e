"""Read a node's audit log, and judge it by what was remembered and by what the node's journal saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from obstack.agent import wire
from obstack.operations.asking import ask, demand, taken
from obstack.plan.audit import (
    Chain,
    Entry,
    Standing,
    Verdict,
    Witness,
    judge,
    parse_entry,
    parse_witness,
    wanted_numbers,
)
from obstack.ports import AuditMemory, Channel, Reporter


@dataclass(frozen=True)
class AuditLog:
    """The entries of a node that were asked for, the oldest first, and how many lines are not entries at all."""

    node: str
    place: str
    entries: tuple[Entry, ...]
    unreadable: int


def show_log(channel: Channel, reporter: Reporter, *, since: float | None = None) -> AuditLog:
    """Given a channel, return the node's entries, of `since` (unix time) and later. Raises what the agent refuses."""
    entries: list[Entry] = []
    unreadable = 0

    def take(line: str) -> None:
        nonlocal unreadable
        entry = parse_entry(line.removesuffix("\n"))
        if entry is None:
            unreadable += line.endswith("\n")
        elif since is None or entry.time >= since:
            entries.append(entry)

    reply = _read(channel, reporter, take, witness=False)
    return AuditLog(channel.node, str(reply.data.get("place")), tuple(entries), unreadable)


def verify_log(
    channel: Channel, memory: AuditMemory, reporter: Reporter, *, accept: bool = False, now: float = 0.0
) -> Verdict:
    """Given a channel and what is remembered of nodes, say whether the node's log is whole.

    The head of a log that is whole is remembered in place of the older ones. With `accept`, the log as it is now, if
    its lines fit each other, is taken for good whatever was remembered. Raises what the agent refuses, and ChangeFailed
    when it cannot be remembered.
    """
    known = memory.recall(channel.node)
    witnesses: list[Witness] = []
    chain: Chain | None = None

    def take(line: str) -> None:
        nonlocal chain
        if chain is None:  # the witnesses come before the first line
            chain = Chain(wanted_numbers(known, witnesses))
        chain.feed(line)

    def hear(data: dict[str, Any]) -> None:
        witness = parse_witness(data)
        if witness is not None:
            witnesses.append(witness)

    reply = _read(channel, reporter, take, witness=True, hear=hear)
    chain = chain or Chain(frozenset())
    standing = taken(channel, lambda: _standing(reply.data))
    place = str(reply.data.get("place"))
    if accept and chain.breach is None:
        memory.accept(channel.node, chain.head, now)
        known = memory.recall(channel.node)
    verdict = judge(channel.node, place, chain, known, witnesses, standing)
    if verdict.intact and chain.head is not None:
        memory.settle(channel.node, chain.head)
    return verdict


def _standing(data: Mapping[str, Any]) -> Standing:
    growing = data.get("append_only")
    return Standing(
        size=int(data.get("size") or 0),
        append_only=growing if isinstance(growing, bool) else None,
        journal=str(data.get("journal") or ""),
    )


def _read(
    channel: Channel,
    reporter: Reporter,
    take: Callable[[str], None],
    *,
    witness: bool,
    hear: Callable[[dict[str, Any]], None] = lambda _: None,
) -> wire.Reply:
    def on_log(event: wire.Event) -> None:
        taken(channel, lambda: hand_on(event))

    def hand_on(event: wire.Event) -> None:
        for data in event.data.get("witnesses", ()):
            hear(data)
        for line in event.data.get("lines", ()):
            take(str(line))

    return demand(ask(channel, wire.Request("audit", {"witness": witness}), reporter, on_log=on_log))
