"""`observability health`."""

from __future__ import annotations

import contextlib
import sys
import time

import click

from obstack.cli.conclude import conclude, reply_document
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes, choose_nodes
from obstack.cli.options import Target, json_option, nodes_options, parallel_option, quiet_option, target_options
from obstack.cli.output import print_line
from obstack.cli.progress import reporter
from obstack.cli.views import gate_lines, moment
from obstack.errors import Interrupted, UsageError
from obstack.operations.asking import error_of
from obstack.operations.health import check_health
from obstack.ports import Channel


@documented(
    "observability health",
    "observability health --verbose",
    "observability health --host web-1",
    "observability health --watch --interval 10",
)
@target_options()
@nodes_options
@parallel_option
@click.option("--verbose", "-v", is_flag=True, help="Show the green gates too.")
@click.option("--watch", is_flag=True, help="Check again and again, until Ctrl-C.")
@click.option(
    "--interval", type=click.IntRange(min=1), default=5, metavar="SECONDS", help="Pause of --watch. [default: 5]"
)
@quiet_option
@json_option
def command(
    *,
    target: Target,
    hosts: tuple[str, ...],
    limits: tuple[str, ...],
    parallel: int | None,
    verbose: bool,
    watch: bool,
    interval: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Prove that the stack works: every gate, from a real scrape to a real alert; exit 1 when one is red."""
    if watch and as_json:
        raise UsageError(
            code="usage",
            what="--watch and --json exclude each other: --json prints one document.",
            where="the command line of `observability health`",
            state="nothing was touched",
            do="observability health --json",
        )
    nodes = choose_nodes(target, hosts, limits)
    many = nodes.site is not None and not nodes.single
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # the way in which a watch ends
            if many:
                _watch_many(nodes, verbose, interval, parallel)
            else:
                _watch(nodes.open(), verbose, interval)
        return 0
    if many:
        return _health_of_many(nodes, parallel=parallel, verbose=verbose, quiet=quiet, as_json=as_json)
    channel = nodes.open()
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        reply = check_health(channel, progress)
    document = reply_document(channel.node, reply, time.monotonic() - started)
    lines = gate_lines(channel.node, reply.gates, reply.generation, verbose=verbose) if reply.gates else []
    return conclude(reply, document | {"healthy": reply.fault is None}, lines, as_json=as_json)


def _watch(channel: Channel, verbose: bool, interval_s: int) -> None:
    """Show the health until Ctrl-C: on a terminal in place, elsewhere one report after the other."""
    while True:
        with reporter(quiet=True) as progress:
            reply = check_health(channel, progress)
        if sys.stdout.isatty():
            click.clear()
        print_line(moment(time.time()))
        for line in gate_lines(channel.node, reply.gates, reply.generation, verbose=verbose):
            print_line(line)
        if reply.fault is not None and reply.fault.exit_code == Interrupted.exit_code:
            return
        if reply.fault is not None and not reply.gates:
            raise error_of(reply.fault)
        sys.stdout.flush()
        time.sleep(interval_s)


def _health_of_many(nodes: Nodes, *, parallel: int | None, verbose: bool, quiet: bool, as_json: bool) -> int:
    from obstack.cli.fleet import check_nodes, print_results
    from obstack.cli.fleet_views import fleet_health_lines

    results = check_nodes(nodes, parallel=parallel, quiet=quiet)
    documents = {
        result.node: reply_document(result.node, result.value, result.seconds)
        | {"outcome": result.outcome, "healthy": result.error is None}
        for result in results
        if result.value is not None
    }
    return print_results(results, documents, fleet_health_lines(results, verbose=verbose), as_json=as_json)


def _watch_many(nodes: Nodes, verbose: bool, interval_s: int, parallel: int | None) -> None:
    """Show the health of several nodes until Ctrl-C, as `_watch` does for one."""
    from obstack.cli.fleet import check_nodes
    from obstack.cli.fleet_views import fleet_health_lines

    with contextlib.suppress(Interrupted):
        while True:
            results = check_nodes(nodes, parallel=parallel, quiet=True)
            if sys.stdout.isatty():
                click.clear()
            for line in (moment(time.time()), *fleet_health_lines(results, verbose=verbose)):
                print_line(line)
            sys.stdout.flush()
            time.sleep(interval_s)
