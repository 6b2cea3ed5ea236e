"""`observability status`."""

from __future__ import annotations

from typing import Any

from obstack.agent.wire import encode
from obstack.cli.composition import SystemClock
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes, choose_nodes
from obstack.cli.options import Target, json_option, nodes_options, parallel_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import status_lines
from obstack.operations.inspection import Inspection, front_door, inspect


@documented(
    "observability status",
    "observability status --json",
    "observability status --host web-1",
    "observability status --root .observability",
)
@target_options()
@nodes_options
@parallel_option
@quiet_option
@json_option
def command(
    *,
    target: Target,
    hosts: tuple[str, ...],
    limits: tuple[str, ...],
    parallel: int | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Show what is in force: generation, units, drift, the last runs, and where the front door is.

    Nothing is probed beyond the machines' own view; `observability health` proves that they work.
    """
    nodes = choose_nodes(target, hosts, limits)
    if nodes.site is not None and not nodes.single:
        return _status_of_many(nodes, parallel=parallel, quiet=quiet, as_json=as_json)
    with reporter(quiet=quiet) as progress:
        inspection = inspect(nodes.open(), progress)
    place = target.layout.root or "/"
    if as_json:
        print_json({"node": inspection.node, "root": place, "chosen_by": target.chosen_by, **_document(inspection)})
        return 0
    for line in status_lines(inspection, place, target.chosen_by, SystemClock().now()):
        print_line(line)
    return 0


def _status_of_many(nodes: Nodes, *, parallel: int | None, quiet: bool, as_json: bool) -> int:
    from obstack.cli.fleet import inspect_nodes, print_results
    from obstack.cli.fleet_views import fleet_status_lines

    results = inspect_nodes(nodes, parallel=parallel, quiet=quiet)
    documents = {result.node: _document(result.value) for result in results if result.value is not None}
    return print_results(results, documents, fleet_status_lines(results, SystemClock().now()), as_json=as_json)


def _document(inspection: Inspection) -> dict[str, Any]:
    return {
        "generation": inspection.generation,
        "front_door": front_door(inspection.manifest),
        "units": [encode(unit) for unit in inspection.units],
        "drift": [encode(item) for item in inspection.drift],
        "transactions": [encode(run) for run in inspection.transactions],
    }
