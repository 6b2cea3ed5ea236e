"""Results of many nodes as people and programs see them, word for word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from obstack.agent.services import UnitState
from obstack.agent.wire import Action, Drift, Fault, FileEntry, GateResult, Manifest, Reply, UnitEntry
from obstack.cli.fleet_views import (
    fleet_document,
    fleet_drift_lines,
    fleet_health_lines,
    fleet_outcome_lines,
    fleet_plan_lines,
    fleet_status_lines,
)
from obstack.errors import Unreachable
from obstack.operations.fleet import BY_BUNDLE, SKIPPED, UNREACHABLE, NodeResult, result_of
from obstack.operations.inspection import Inspection, Run
from obstack.plan.closing import Closing
from obstack.plan.explain import Plan, decide_plan

NEW = "2" * 64
AWAY = Unreachable(
    code="host-unreachable", what="web-9 did not answer.", where="ssh web-9", do="ssh root@web-9", state="unknown"
)


def plan(node: str, *files: str, before: Manifest | None = None) -> NodeResult[Plan]:
    """Return the plan of a node that is to have these files, and the unit that reads them."""
    entries = tuple(FileEntry(f"etc/{name}", NEW, 1, 0o644) for name in files)
    after = Manifest(node, "monitored-host", "systemd", files=entries, units=(UnitEntry("node-exporter", "units/n"),))
    made = decide_plan(after if not files else before, after, running=("node-exporter",) if not files else ())
    return NodeResult(node, "unchanged" if made.empty else "changes", made)


def test_equal_plans_are_one_entry_and_the_rest_is_named() -> None:
    results = [
        *(plan(f"web-{number}", "a", "b") for number in range(1, 5)),
        plan("db-1", "a"),
        plan("same-1"),
        NodeResult[Plan]("web-9", UNREACHABLE, error=AWAY),
        NodeResult[Plan]("far-1", BY_BUNDLE),
    ]
    assert fleet_plan_lines(results, verbose=False, diffs=True) == [
        "Plan for 8 nodes: 5 would change",
        "",
        "web-1, web-2, web-3, web-4 (4 nodes: same change)",
        "  2 files; 1 thing outside; start node-exporter",
        "",
        "db-1",
        "  1 file; 1 thing outside; start node-exporter",
        "",
        "as configured: same-1",
        "",
        "web-9: web-9 did not answer.",
        "  do: ssh root@web-9",
        "far-1: by bundle; observability host bundle far-1 -o far-1.bundle",
    ]


@pytest.mark.parametrize(("names", "verbose"), [(["web-1", "web-2"], False), ([f"web-{n}" for n in range(9)], True)])
def test_few_plans_are_shown_whole_and_many_when_asked_for(names: list[str], verbose: bool) -> None:
    lines = fleet_plan_lines([plan(name, "a") for name in names], verbose=verbose, diffs=True)
    assert any(line.strip() == "+ etc/a" for line in lines)
    assert f"the same change: {', '.join(names[1:])}" in lines


def test_who_is_cut_off_is_told_however_many_nodes_change() -> None:
    server = plan("mon-1", "a", "b", "c")
    assert server.value is not None
    shut = replace(server.value, closings=(Closing("tcp", 3306, "0.0.0.0", "mariadbd", "mariadb.service"),))
    results = [*(plan(f"web-{number}", "a") for number in range(9)), replace(server, value=shut)]
    lines = fleet_plan_lines(results, verbose=False, diffs=True)
    assert "  TCP port 3306  mariadbd (mariadb.service)  0.0.0.0" in lines
    assert '    - {"port": 3306, "comment": "mariadbd"}' in lines


ACTED = (Action("node-exporter", "restart", "etc/a changed"), Action("nginx", "none", "nothing changed"))
RED = Reply(
    "rolled-back",
    "1" * 64,
    actions=ACTED,
    fault=Fault(3, "gate-failed", "A gate stayed red.", "unit node-exporter", "observability logs", "as before"),
)


def test_the_table_says_who_is_where_and_below_it_what_to_do() -> None:
    results = [
        result_of("web-1", Reply("committed", NEW, actions=ACTED)),
        result_of("web-2", RED),
        NodeResult[Reply]("web-9", UNREACHABLE, error=AWAY),
        NodeResult[Reply]("mon-1", SKIPPED),
    ]
    assert fleet_outcome_lines(results, 12.3) == [
        "node   outcome      generation    units acted on  seconds",
        "web-1  committed    222222222222  node-exporter",
        "web-2  rolled back  111111111111",
        "web-9  unreachable",
        "mon-1  skipped",
        "",
        "web-2: [gate-failed] A gate stayed red.",
        "  where: unit node-exporter",
        "  state: as before",
        "  do:    observability logs",
        "",
        "web-9: [host-unreachable] web-9 did not answer.",
        "  where: ssh web-9",
        "  state: unknown",
        "  do:    ssh root@web-9",
        "",
        "1 committed, 1 skipped, 1 rolled back, 1 unreachable (12.3 s)",
    ]


def inspection(node: str, *drift: Drift) -> NodeResult[Inspection]:
    units = (UnitState("node-exporter", "active", "running", 7), UnitState("nginx", "failed", "failed", 0))
    run = Run(1, "1", "apply", "root", 940.0, 941.0, "committed", False, None, NEW, False)
    return NodeResult(node, "ok", Inspection(node, NEW, None, drift, units, (run,), ()))


GONE = Drift("file-missing", "etc/a", "it is not there")


def test_status_has_a_line_for_each_node() -> None:
    results = [
        inspection("web-1"),
        inspection("web-2", GONE),
        NodeResult[Inspection]("web-9", UNREACHABLE, error=AWAY),
    ]
    assert fleet_status_lines(results, 1000.0) == [
        "node   generation    units       drift         last run",
        "web-1  222222222222  1 of 2 run  none          apply committed, 1 minute ago",
        "web-2  222222222222  1 of 2 run  1 difference  apply committed, 1 minute ago",
        "web-9  unreachable",
        "",
        "web-9: web-9 did not answer.",
        "  do: ssh root@web-9",
    ]


def test_drift_is_told_by_node() -> None:
    new = NodeResult("new-1", "ok", Inspection("new-1", None, None, (), (), (), ()))
    assert fleet_drift_lines([new, inspection("web-1"), inspection("web-2", GONE)]) == [
        "new-1: no generation is in force",
        "web-1: no drift from generation 222222222222",
        "web-2: 1 difference from generation 222222222222",
        "  file-missing  etc/a  it is not there",
    ]


def test_health_shows_what_is_red_and_counts_the_rest() -> None:
    green = GateResult("ready", "http", "nginx", True, 0.1, "it is ready")
    red = GateResult("exporter", "exporter", "nginx", False, 0.1, "no answer")
    well = NodeResult("web-1", "healthy", Reply("ok", NEW, gates=(green,)))
    ill = NodeResult("web-2", "unhealthy", Reply("failed", NEW, gates=(green, red), fault=RED.fault), AWAY)
    lines = fleet_health_lines([well, ill, NodeResult[Reply]("web-9", UNREACHABLE, error=AWAY)], verbose=False)
    assert lines[0] == "web-1 is healthy: 1 of 1 gate green, generation 222222222222"
    assert any(line.startswith("RED exporter") for line in lines)
    assert lines[-2:] == ["  do: ssh root@web-9", "1 of 3 nodes healthy"]


def test_the_document_has_every_node_the_sum_and_the_code() -> None:
    results = [result_of("web-1", Reply("committed", NEW)), NodeResult[Reply]("web-9", UNREACHABLE, error=AWAY)]
    assert fleet_document(results, {"web-1": {"generation": NEW}}, 6) == {
        "nodes": [
            {"node": "web-1", "outcome": "committed", "generation": NEW, "seconds": 0.0},
            {"node": "web-9", "outcome": "unreachable", "seconds": 0.0, "error": AWAY.to_json()},
        ],
        "summary": {"committed": 1, "unreachable": 1},
        "exit_code": 6,
    }
