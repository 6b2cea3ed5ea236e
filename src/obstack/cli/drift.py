"""`observability drift`."""

from __future__ import annotations

from typing import Any

from obstack.agent.wire import encode
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes, choose_nodes
from obstack.cli.options import Target, json_option, nodes_options, parallel_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import count, drift_table, short
from obstack.operations.inspection import Inspection, inspect


@documented("observability drift", "observability drift --limit web", "observability drift --json")
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
    """Show how the machines differ from their generations in force; exit 1 when one does.

    Nothing is changed. `observability apply` heals what is found. Drop-ins that somebody added to our units are shown
    too; they are an administrator's right, so they are left as they are and do not count.
    """
    nodes = choose_nodes(target, hosts, limits)
    if nodes.site is not None and not nodes.single:
        return _drift_of_many(nodes, parallel=parallel, quiet=quiet, as_json=as_json)
    with reporter(quiet=quiet) as progress:
        inspection = inspect(nodes.open(), progress)
    if as_json:
        print_json({"node": inspection.node, **_document(inspection)})
    else:
        for line in drift_table((*inspection.drift, *inspection.additions), margin=0):
            print_line(line)
        print_line(f"{inspection.node}: {_verdict(inspection)}")
    return 1 if inspection.drift else 0


def _drift_of_many(nodes: Nodes, *, parallel: int | None, quiet: bool, as_json: bool) -> int:
    from obstack.cli.fleet import inspect_nodes, print_results
    from obstack.cli.fleet_views import fleet_drift_lines

    results = inspect_nodes(nodes, parallel=parallel, quiet=quiet)
    documents = {result.node: _document(result.value) for result in results if result.value is not None}
    found = (1,) if any(result.value is not None and result.value.drift for result in results) else ()
    return print_results(results, documents, fleet_drift_lines(results), as_json=as_json, further=found)


def _document(inspection: Inspection) -> dict[str, Any]:
    return {
        "generation": inspection.generation,
        "drift": [encode(item) for item in inspection.drift],
        "additions": [encode(item) for item in inspection.additions],
    }


def _verdict(inspection: Inspection) -> str:
    if inspection.generation is None:
        return "no generation is in force, so there is nothing to differ from"
    if not inspection.drift:
        return f"no drift from generation {short(inspection.generation)}"
    found = count(len(inspection.drift), "difference")
    return f"{found} from generation {short(inspection.generation)}; observability apply heals what is found"
