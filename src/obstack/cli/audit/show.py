"""`observability audit show`."""

from __future__ import annotations

from typing import Any

import click

from obstack.agent.wire import encode
from obstack.cli.audit.views import entry_rows
from obstack.cli.composition import SystemClock
from obstack.cli.lazy import documented
from obstack.cli.nodes import choose_nodes
from obstack.cli.options import Target, json_option, nodes_options, parallel_option, quiet_option, target_options
from obstack.cli.output import paint, print_json, print_line, table
from obstack.cli.progress import reporter
from obstack.cli.views import count
from obstack.operations.audit import AuditLog, show_log
from obstack.operations.logs import parse_moment
from obstack.ports import Channel, Reporter

HEADER = ("entry", "time", "change", "outcome", "generation", "by")


@documented(
    "observability audit show",
    "observability audit show --host web-1 --since 2026-11-01",
    "observability audit show --since 7d --json",
)
@click.option(
    "--since", metavar="TIME", help="Only later entries: how long ago (2h, 7d) or a time (2026-11-24T10:15:00Z)."
)
@target_options()
@nodes_options
@parallel_option
@quiet_option
@json_option
def command(
    *,
    since: str | None,
    target: Target,
    hosts: tuple[str, ...],
    limits: tuple[str, ...],
    parallel: int | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Show who changed what and when on the machines, the oldest change first.

    An apply that changed nothing is no change. Whether the log is whole is what `observability audit verify` says.
    """
    begin = parse_moment(since, SystemClock(), "--since") if since else None
    nodes = choose_nodes(target, hosts, limits)
    if nodes.site is None or nodes.single:
        with reporter(quiet=quiet) as progress:
            log = show_log(nodes.open(), progress, since=begin)
        if as_json:
            print_json({"node": log.node, **_document(log)})
            return 0
        for line in _lines(log):
            print_line(line)
        return 0
    from obstack.cli.fleet import look, print_results
    from obstack.cli.fleet_views import trouble_lines
    from obstack.operations.fleet import NodeResult

    def work(node: str, channel: Channel, progress: Reporter) -> NodeResult[AuditLog]:
        return NodeResult(node, "ok", show_log(channel, progress, since=begin))

    results = look(nodes, work, parallel=parallel, quiet=quiet)
    documents = {result.node: _document(result.value) for result in results if result.value is not None}
    lines: list[str] = []
    for result in results:
        if result.value is not None:
            lines += ["", *_lines(result.value)] if lines else _lines(result.value)
    return print_results(results, documents, [*lines, *trouble_lines(results)], as_json=as_json)


def _document(log: AuditLog) -> dict[str, Any]:
    return {"log": log.place, "unreadable": log.unreadable, "entries": [encode(entry) for entry in log.entries]}


def _lines(log: AuditLog) -> list[str]:
    shown = count(len(log.entries), "entry", "entries")
    lines = [paint(log.node, bold=True) + f": {shown} in {log.place}"]
    lines += table(entry_rows(log.entries), header=HEADER) if log.entries else []
    if log.unreadable:
        lines.append(
            f"{count(log.unreadable, 'line')} cannot be read; see: observability audit verify --host {log.node}"
        )
    return lines
