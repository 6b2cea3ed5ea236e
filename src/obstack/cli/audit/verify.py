"""`observability audit verify`."""

from __future__ import annotations

from typing import Any

import click

from obstack.agent.wire import encode
from obstack.cli.audit.views import verdict_lines
from obstack.cli.composition import SystemClock, audit_memory
from obstack.cli.lazy import documented
from obstack.cli.nodes import choose_nodes
from obstack.cli.options import Target, json_option, nodes_options, parallel_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.operations.audit import verify_log
from obstack.plan.audit import Verdict
from obstack.ports import Channel, Reporter


@documented(
    "observability audit verify",
    "observability audit verify --host web-1",
    "observability audit verify --host web-1 --accept",
    "observability audit verify --json",
)
@click.option(
    "--accept",
    is_flag=True,
    help="Take the log of one node, as it is now, for the right one: after it was made anew, or all was explained.",
)
@target_options()
@nodes_options
@parallel_option
@quiet_option
@json_option
def command(
    *,
    accept: bool,
    target: Target,
    hosts: tuple[str, ...],
    limits: tuple[str, ...],
    parallel: int | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Judge whether the machines' audit logs are whole; exit 1 when one is not.

    Each entry must seal the one before it, the heads that this controller has seen must still be there, and the
    machine's journal must agree as far back as it reaches. The first entry that is wrong is named, and what it means.
    """
    if accept and (len(hosts) != 1 or limits):
        raise click.UsageError("--accept is for one node at a time, named by --host.")
    nodes, memory, now = choose_nodes(target, hosts, limits), audit_memory(target), SystemClock().now()
    if nodes.site is None or nodes.single:
        with reporter(quiet=quiet) as progress:
            verdict = verify_log(nodes.open(), memory, progress, accept=accept, now=now)
        if as_json:
            print_json({"node": verdict.node, **_document(verdict)})
        else:
            for line in verdict_lines(verdict):
                print_line(line)
        return 0 if verdict.intact else 1
    from obstack.cli.fleet import look, print_results
    from obstack.cli.fleet_views import trouble_lines
    from obstack.operations.fleet import NodeResult

    def work(node: str, channel: Channel, progress: Reporter) -> NodeResult[Verdict]:
        verdict = verify_log(channel, memory, progress)
        return NodeResult(node, "intact" if verdict.intact else "broken", verdict)

    results = look(nodes, work, parallel=parallel, quiet=quiet)
    verdicts = [result.value for result in results if result.value is not None]
    documents = {verdict.node: _document(verdict) for verdict in verdicts}
    lines = [line for verdict in verdicts for line in verdict_lines(verdict)]
    further = [0 if verdict.intact else 1 for verdict in verdicts]
    return print_results(results, documents, [*lines, *trouble_lines(results)], as_json=as_json, further=further)


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "intact": verdict.intact,
        "log": verdict.place,
        "entries": verdict.entries,
        "head": encode(verdict.head),
        "remembered": verdict.remembered,
        "witnessed": verdict.witnessed,
        "breaches": [encode(breach) for breach in verdict.breaches],
        "notes": list(verdict.notes),
    }
