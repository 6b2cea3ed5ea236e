"""`observability rollback`."""

from __future__ import annotations

import time
from typing import Any

import click

from obstack.cli import completing
from obstack.cli.composition import who
from obstack.cli.conclude import conclude, reply_document
from obstack.cli.generations import print_generations
from obstack.cli.lazy import documented
from obstack.cli.nodes import open_one
from obstack.cli.options import Target, host_option, json_option, quiet_option, target_options, wait_option
from obstack.cli.progress import reporter
from obstack.cli.views import outcome_lines
from obstack.edges.run_record import FileRunRecord
from obstack.errors import UsageError
from obstack.operations.rollback import parse_timestamp, rollback


@documented(
    "observability rollback --auto",
    "observability rollback --to 3f9a1c2b",
    "observability rollback --backup 20261124T101500Z",
    "observability rollback --auto --host web-1",
    "observability rollback --list",
)
@target_options()
@host_option
@click.option("--auto", is_flag=True, help="Go back to the generation that was in force before.")
@click.option(
    "--to",
    "generation",
    metavar="GENERATION",
    shell_complete=completing.generations,
    help="Go to the generation whose id begins so.",
)
@click.option("--backup", "timestamp", metavar="TIMESTAMP", help="Go to the generation in force at that time (UTC).")
@click.option("--list", "listing", is_flag=True, help="List what can be gone back to.")
@wait_option
@quiet_option
@json_option
def command(
    *,
    target: Target,
    host: str | None,
    auto: bool,
    generation: str | None,
    timestamp: str | None,
    listing: bool,
    wait_s: float,
    quiet: bool,
    as_json: bool,
) -> int:
    """Go back to an earlier generation, in one transaction.

    A rollback is gated like any change: if the old generation does not become healthy, the present one is put back.
    """
    if [auto, generation is not None, timestamp is not None, listing].count(True) != 1:
        raise UsageError(
            code="usage",
            what="Exactly one of --auto, --to, --backup and --list is needed.",
            where="the command line of `observability rollback`",
            state="nothing was touched",
            do="observability rollback --list    to see what can be gone back to",
        )
    channel = open_one(target, host)
    if listing:
        print_generations(channel, quiet=quiet, as_json=as_json)
        return 0
    goal: str | dict[str, Any] = "previous"
    if generation is not None:
        goal = generation
    elif timestamp is not None:
        goal = {"at": parse_timestamp(timestamp)}
    FileRunRecord(target.configuration).forget(channel.node)
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        reply = rollback(channel, goal, progress, who=who(), wait_s=wait_s)
    seconds = time.monotonic() - started
    document = reply_document(channel.node, reply, seconds)
    return conclude(reply, document, outcome_lines(channel.node, reply, seconds), as_json=as_json)
