"""`observability logs`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from obstack.agent import wire
from obstack.cli import completing
from obstack.cli.composition import SystemClock, open_channel
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, machine_option
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import log_line
from obstack.operations.logs import Query, parse_moment, read_logs


@documented(
    "observability logs",
    "observability logs prometheus --since 15m",
    "observability logs nginx --grep ' 50[0-9] ' --lines 500 --json",
    "observability logs --follow",
    "observability logs --host web-1 nginx --since 1h --grep 'upstream timed out'",
)
@click.argument("unit", required=False, shell_complete=completing.units)
@click.option(
    "--since", metavar="TIME", help="Only later lines: how long ago (15m, 2h) or a time (2026-11-24T10:15:00Z)."
)
@click.option("--until", metavar="TIME", help="Only earlier lines: how long ago, or a time.")
@click.option("--grep", metavar="PATTERN", help="Only lines that match this regular expression.")
@click.option(
    "--lines", "-n", type=click.IntRange(min=1), default=100, metavar="N", help="The last N lines. [default: 100]"
)
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@click.option(
    "--host",
    metavar="NAME",
    shell_complete=completing.shipping_hosts,
    help="Lines that this host has shipped to the server, of all its units. [default: the stack's own]",
)
@machine_option
@json_option
def command(
    *,
    unit: str | None,
    since: str | None,
    until: str | None,
    grep: str | None,
    lines: int,
    follow: bool,
    host: str | None,
    target: Target,
    as_json: bool,
) -> None:
    """Show the logs of the stack, of all units or of UNIT.

    With --host the journal of a monitored host, UNIT being any unit of it; this works on the server, where all are.
    With --json one document with all lines; with --follow as well, one document for each line.
    """
    if follow and until:
        raise click.UsageError("--follow goes on for good, so --until cannot be given with it.")
    clock = SystemClock()
    begin = parse_moment(since, clock, "--since") if since else None
    end = parse_moment(until, clock, "--until") if until else None
    query = Query(unit, begin, grep, lines, follow, end, host)
    collected: list[dict[str, Any]] = []

    def on_log(event: wire.Event) -> None:
        entry = {**event.data, "message": event.message}
        if not as_json:
            print_line(log_line(event))
        elif follow:
            sys.stdout.write(json.dumps(entry) + "\n")
        else:
            collected.append(entry)
        if follow:
            sys.stdout.flush()

    with reporter(quiet=True) as progress:
        read_logs(open_channel(target), query, progress, on_log)
    if as_json and not follow:
        print_json({"lines": collected})
