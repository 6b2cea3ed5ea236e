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
from obstack.operations.logs import Query, parse_since, read_logs


@documented(
    "observability logs",
    "observability logs prometheus --since 15m",
    "observability logs nginx --grep ' 50[0-9] ' --lines 500 --json",
    "observability logs --follow",
)
@click.argument("unit", required=False, shell_complete=completing.units)
@click.option(
    "--since", metavar="TIME", help="Only later lines: how long ago (15m, 2h) or a time (2026-11-24T10:15:00Z)."
)
@click.option("--grep", metavar="PATTERN", help="Only lines that match this regular expression.")
@click.option(
    "--lines", "-n", type=click.IntRange(min=1), default=100, metavar="N", help="The last N lines. [default: 100]"
)
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@machine_option
@json_option
def command(
    *, unit: str | None, since: str | None, grep: str | None, lines: int, follow: bool, target: Target, as_json: bool
) -> None:
    """Show the logs of the stack, of all units or of UNIT.

    With --json one document with all lines; with --follow as well, one document for each line.
    """
    query = Query(unit, parse_since(since, SystemClock()) if since else None, grep, lines, follow)
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
