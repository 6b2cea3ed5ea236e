"""How every verb talks to an agent: one request, its events to the reporter, and faults as errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from obstack.agent import wire
from obstack.errors import FAMILIES, Bug, StackError, Unreachable
from obstack.ports import Channel, Contents, Reporter

T = TypeVar("T")


def ask(
    channel: Channel,
    request: wire.Request,
    reporter: Reporter,
    *,
    contents: Contents | None = None,
    on_log: Callable[[wire.Event], None] | None = None,
) -> wire.Reply:
    """Send a request, show its events, and return the reply, which may carry a fault.

    Events of step `log` go to `on_log` when that is given: they are results, not progress.
    """

    def on_event(event: wire.Event) -> None:
        if on_log is not None and event.step == "log":
            on_log(event)
        else:
            reporter.event(channel.node, event)

    return channel.ask(request, contents or Contents(), on_event)


def read(channel: Channel, verb: str, reporter: Reporter, params: dict[str, Any] | None = None) -> wire.Reply:
    """Ask for something that changes nothing and return the reply. Raises the reply's fault."""
    return demand(ask(channel, wire.Request(verb, params or {}), reporter))


def taken(channel: Channel, take: Callable[[], T]) -> T:
    """Given what takes a reply's data apart, return its result.

    The data may come from a machine that was broken into. Raises Unreachable when they have not the form that an agent
    gives them.
    """
    try:
        return take()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unreachable(
            code="agent-unintelligible",
            what=f"What the machine answers is not what an agent answers: {error}.",
            where=channel.node,
            state="nothing was changed",
            do="look at the machine itself: its agent was replaced, or is of another version",
        ) from error


def contents_of(reply: wire.Reply) -> dict[str, bytes]:
    """Given a reply that brings contents of files, return them by digest. Raises LookupError and AttributeError."""
    return {digest: str(text).encode("utf-8", "replace") for digest, text in reply.data["contents"].items()}


def demand(reply: wire.Reply) -> wire.Reply:
    """Return the reply; raise the error of its fault when it has one."""
    if reply.fault is not None:
        raise error_of(reply.fault)
    return reply


def error_of(fault: wire.Fault) -> StackError:
    """Given a fault as data, return the error it stands for."""
    family = FAMILIES.get(fault.exit_code, Bug)
    return family(
        code=fault.code, what=fault.what, where=fault.where, do=fault.do, state=fault.state, detail=fault.detail
    )
