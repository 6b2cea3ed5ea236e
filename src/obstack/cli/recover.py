"""`observability recover`."""

from __future__ import annotations

import time

from obstack.cli.composition import open_channel, who
from obstack.cli.conclude import conclude, reply_document
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, quiet_option, target_options, wait_option
from obstack.cli.progress import reporter
from obstack.cli.views import short
from obstack.operations.recover import recover


@documented("observability recover", "observability recover --json")
@target_options()
@wait_option
@quiet_option
@json_option
def command(*, target: Target, wait_s: float, quiet: bool, as_json: bool) -> int:
    """Finish what an interrupted run has left, forward or back.

    Every other command does this first, and so does the machine when it boots.
    """
    channel = open_channel(target)
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        reply = recover(channel, progress, who=who(), wait_s=wait_s)
    document = reply_document(channel.node, reply, time.monotonic() - started)
    lines = [f"{channel.node}: {reply.outcome}, generation {short(reply.generation)}"]
    return conclude(reply, document, lines, as_json=as_json)
