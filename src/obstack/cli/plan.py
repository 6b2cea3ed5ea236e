"""`observability plan`."""

from __future__ import annotations

import click

from obstack.cli.apply import desired_of
from obstack.cli.composition import build_nodes
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes, choose_nodes
from obstack.cli.options import Target, json_option, nodes_options, parallel_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import plan_lines
from obstack.operations.plan import make_plan


@documented(
    "observability plan",
    "observability plan --verbose",
    "observability plan --host web-1",
    "observability plan --limit web --json",
    "observability plan --environment staging --json",
)
@target_options()
@nodes_options
@parallel_option
@click.option("--verbose", "-v", is_flag=True, help="Show every plan whole, and the lines of new files too.")
@quiet_option
@json_option
def command(
    *,
    target: Target,
    hosts: tuple[str, ...],
    limits: tuple[str, ...],
    parallel: int | None,
    verbose: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Show what an apply would change, which unit it would act on, and why.

    Nothing is changed. The lines of secret files are never shown. Nodes that would have the same change are shown as
    one.
    """
    nodes = choose_nodes(target, hosts, limits, judged=True)
    if nodes.site is not None and not nodes.single:
        return _plan_many(nodes, parallel=parallel, verbose=verbose, quiet=quiet, as_json=as_json)
    with reporter(quiet=quiet) as progress:
        desired = desired_of(nodes, progress)
        plan = make_plan(nodes.open(desired.manifest.node), desired, progress)
    if as_json:
        print_json(plan.to_json())
        return 0
    for line in plan_lines(plan, diffs=True, additions=verbose):
        print_line(line)
    return 0


def _plan_many(nodes: Nodes, *, parallel: int | None, verbose: bool, quiet: bool, as_json: bool) -> int:
    from obstack.cli.fleet import plan_nodes, print_results, site_of
    from obstack.cli.fleet_views import fleet_plan_lines

    with reporter(quiet=quiet) as progress:
        desired = build_nodes(nodes.target, site_of(nodes), nodes.names, progress)
    results = plan_nodes(nodes, desired, parallel=parallel, quiet=quiet)
    documents = {result.node: result.value.to_json() for result in results if result.value is not None}
    lines = fleet_plan_lines(results, verbose=verbose, diffs=True)
    return print_results(results, documents, lines, as_json=as_json)
