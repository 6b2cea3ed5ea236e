"""How every verb talks to an agent: one request, its events to the reporter, and faults as errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obstack.agent import wire
from obstack.errors import FAMILIES, Bug, StackError
from obstack.ports import Channel, Contents, Reporter


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
