"""`observability recover`."""

from __future__ import annotations

import time

from obstack.cli.composition import who
from obstack.cli.conclude import conclude, reply_document
from obstack.cli.lazy import documented
from obstack.cli.nodes import open_one
from obstack.cli.options import Target, host_option, json_option, quiet_option, target_options, wait_option
from obstack.cli.progress import reporter
from obstack.cli.views import short
from obstack.operations.recover import recover


@documented("observability recover", "observability recover --host web-1", "observability recover --json")
@target_options()
@host_option
@wait_option
@quiet_option
@json_option
def command(*, target: Target, host: str | None, wait_s: float, quiet: bool, as_json: bool) -> int:
    """Finish what an interrupted run has left, forward or back.

    Every other command does this first, and so does the machine when it boots.
    """
    channel = open_one(target, host)
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        reply = recover(channel, progress, who=who(), wait_s=wait_s)
    document = reply_document(channel.node, reply, time.monotonic() - started)
    done = "nothing was left unfinished" if reply.outcome == "unchanged" else "an interrupted run was ended"
    force = f"generation {short(reply.generation)}" if reply.generation else "no generation"
    lines = [f"{channel.node}: {done}, {force} is in force"] if reply.fault is None else []
    return conclude(reply, document, lines, as_json=as_json)
