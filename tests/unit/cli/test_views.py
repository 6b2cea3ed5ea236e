"""Results as people see them: at a fixed width, without colours, word for word."""

from dataclasses import replace

import pytest

from obstack.agent.services import UnitState
from obstack.agent.wire import (
    Action,
    ArchiveEntry,
    ArtifactEntry,
    Drift,
    Event,
    Fault,
    FileEntry,
    GateEntry,
    GateResult,
    InputEntry,
    LinkEntry,
    Manifest,
    ReloadEntry,
    Reply,
    UnitEntry,
)
from obstack.cli.views import (
    age,
    difference_lines,
    finding_lines,
    gate_lines,
    generation_table,
    log_line,
    manifest_lines,
    outcome_lines,
    plan_lines,
    status_lines,
)
from obstack.operations.generations import Generation
from obstack.operations.inspection import Inspection, Run
from obstack.plan.explain import decide_plan
from obstack.plan.preflight import Finding, Severity

OLD, NEW = "1" * 64, "2" * 64
CONTENTS = {OLD: b"interval: 15s\nkeep: yes\n", NEW: b"interval: 30s\nkeep: yes\n"}
BEFORE = Manifest(
    "mon-1",
    "observability",
    "systemd",
    files=(
        FileEntry("etc/nginx/users", "3" * 64, 9, 0o640, group="nginx", secret=True),
        FileEntry("etc/prometheus/prometheus.yml", OLD, 24, 0o644),
    ),
    artifacts=(ArtifactEntry("prometheus", "2.42.0", (ArchiveEntry("p.deb", "4" * 64, 1, "deb"),)),),
    links=(LinkEntry("/etc/prometheus", "etc/prometheus"),),
    units=(
        UnitEntry(
            "prometheus",
            "",
            inputs=(InputEntry("etc/prometheus/", "reload"), InputEntry("artifact:prometheus", "restart")),
            reload=ReloadEntry("signal", "HUP"),
        ),
        UnitEntry("nginx", "", inputs=(InputEntry("etc/nginx/", "reload"),)),
    ),
    gates=(GateEntry("front door", "front-door", "nginx", {"host": "observability.example.org", "https_port": 8443}),),
)
AFTER = replace(
    BEFORE,
    files=(
        FileEntry("etc/nginx/users", "5" * 64, 9, 0o640, group="nginx", secret=True),
        FileEntry("etc/prometheus/prometheus.yml", NEW, 24, 0o644),
    ),
)
RUNNING = ("prometheus", "nginx")


def test_a_plan_shows_lines_that_change_but_no_secret_and_why_each_unit_is_acted_on() -> None:
    plan = decide_plan(
        BEFORE, AFTER, running=RUNNING, contents_before=CONTENTS, contents_after=CONTENTS | {"5" * 64: b"hidden"}
    )
    lines = plan_lines(plan, diffs=True)
    assert lines[0] == f"Plan for mon-1: generation {AFTER.identity[:12]} replaces {BEFORE.identity[:12]}"
    assert lines[1:] == [
        "",
        "Files",
        "  ~ etc/nginx/users  (secret, content not shown)",
        "  ~ etc/prometheus/prometheus.yml",
        "      @@ -1,2 +1,2 @@",
        "      -interval: 15s",
        "      +interval: 30s",
        "       keep: yes",
        "",
        "Units",
        "  reload  prometheus  etc/prometheus/prometheus.yml changed",
        "  reload  nginx       etc/nginx/users changed",
    ]
    assert "hidden" not in "\n".join(lines)


def test_a_plan_without_changes_says_so_in_one_line() -> None:
    plan = decide_plan(BEFORE, BEFORE, running=RUNNING)
    assert plan.empty
    (line,) = plan_lines(plan, diffs=True)
    assert line.startswith("mon-1 is as configured")
    assert plan.to_json()["changes"] is False


def test_the_first_plan_shows_new_files_by_name_and_their_lines_only_when_asked() -> None:
    plan = decide_plan(None, BEFORE, contents_after=CONTENTS)
    short, long = plan_lines(plan, diffs=True), plan_lines(plan, diffs=True, additions=True)
    assert short[0].endswith("is the first on this machine")
    assert "  + etc/prometheus/prometheus.yml" in short
    assert "  + link /etc/prometheus" in short
    assert "  + prometheus 2.42.0" in short
    assert not any("interval: 15s" in line for line in short)
    assert "      +interval: 15s" in long


def test_a_plan_that_only_heals_shows_the_drift() -> None:
    drift = Drift("file-changed", "etc/prometheus/prometheus.yml", "edited")
    lines = plan_lines(decide_plan(BEFORE, BEFORE, drift=(drift,), running=RUNNING), diffs=True)
    assert lines[0].endswith("is in force already; its drift is healed")
    assert "  file-changed  etc/prometheus/prometheus.yml  edited" in lines


GATES = (
    GateResult("prometheus is ready", "prometheus-ready", "prometheus", True, 0.012, "200"),
    GateResult("front door", "front-door", "nginx", False, 60.0, "502 from /prometheus/", "HTTP 502\n\x1b[2Jbody"),
)


def test_evidence_that_several_gates_share_is_shown_once() -> None:
    red = [GateResult(name, "http", name, False, 0.1, "refused", "line 7 is wrong") for name in ("one", "two")]
    lines = gate_lines("mon-1", red, OLD, verbose=False)
    assert "evidence of one, two:" in lines
    assert lines.count("  | line 7 is wrong") == 1


def test_health_shows_what_is_red_with_its_evidence_made_harmless() -> None:
    assert gate_lines("mon-1", GATES, OLD, verbose=False) == [
        "RED front door  nginx  60.00 s  502 from /prometheus/",
        "",
        "evidence of front door:",
        "  | HTTP 502",
        "  | \\x1b[2Jbody",
        "mon-1 is unhealthy: 1 of 2 gates green, generation 111111111111",
    ]


def test_verbose_health_shows_green_gates_too() -> None:
    assert gate_lines("mon-1", GATES[:1], OLD, verbose=True) == [
        "ok  prometheus is ready  prometheus  0.01 s  200",
        "mon-1 is healthy: 1 of 1 gate green, generation 111111111111",
    ]


def test_a_gate_that_only_repeats_its_name_has_nothing_beside_it() -> None:
    gate = GateResult("prometheus is ready", "prometheus-ready", "prometheus", True, 0.012, "Prometheus is ready")
    assert gate_lines("mon-1", [gate], OLD, verbose=True)[0] == "ok  prometheus is ready  prometheus  0.01 s"


def test_an_unchanged_outcome_is_one_line_and_a_change_names_the_units_acted_on() -> None:
    assert outcome_lines("mon-1", Reply("unchanged", NEW), 0.34) == [
        "mon-1: nothing to do, generation 222222222222 is in force (0.3 s)"
    ]
    actions = (Action("nginx", "none", "nothing that it reads changed"), Action("prometheus", "reload", "x changed"))
    drift = (Drift("unit-stopped", "nginx", "inactive"),)
    assert outcome_lines("mon-1", Reply("committed", NEW, OLD, actions, drift, GATES[:1]), 4.2) == [
        "mon-1: committed, generation 222222222222, 1 of 1 gate green (4.2 s)",
        "  reload  prometheus  x changed",
        "  healed unit-stopped  nginx  inactive",
    ]


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply("refused", OLD), "mon-1: refused, generation 111111111111 is in force (8.0 s)"),
        (Reply("rolled-back", OLD), "mon-1: rolled back, generation 111111111111 is in force (8.0 s)"),
        (Reply("rolled-back"), "mon-1: rolled back, no generation is in force (8.0 s)"),
        (Reply("rollback-failed", NEW), "mon-1: rollback failed, generation 222222222222 is in force (8.0 s)"),
    ],
)
def test_what_was_not_done_is_not_listed(reply: Reply, line: str) -> None:
    planned = replace(reply, actions=(Action("prometheus", "restart", "x changed"),), gates=GATES)
    assert outcome_lines("mon-1", planned, 8.0) == [line]


def test_data_that_were_set_aside_are_named() -> None:
    kept = {"unit": "prometheus", "what": "its newer data, set aside", "path": "/var/lib/prometheus.newer-000003"}
    lines = outcome_lines("mon-1", Reply("committed", NEW, OLD, data={"kept": [kept]}), 4.2)
    assert lines[-1] == "  kept prometheus: its newer data, set aside, in /var/lib/prometheus.newer-000003"


def test_a_red_gate_on_an_unchanged_machine_is_not_told_as_success() -> None:
    fault = Fault(1, "gate-failed", "front door is red.", "mon-1", "observability health")
    (line, *_) = outcome_lines("mon-1", Reply("unchanged", NEW, gates=GATES, fault=fault), 0.3)
    assert line == "mon-1: nothing was changed, generation 222222222222 is in force, 1 of 2 gates green (0.3 s)"


def test_findings_end_with_the_verdict() -> None:
    findings = [
        Finding(Severity.BLOCK, "port-busy", "Port 443 is held by apache2.", "mon-1", "systemctl disable apache2"),
        Finding(Severity.WARN, "clock", "The clock is not synchronized.", "mon-1", "timedatectl"),
    ]
    assert finding_lines(findings) == [
        "block  Port 443 is held by apache2.  [port-busy]",
        "       where: mon-1",
        "       do:    systemctl disable apache2",
        "warn   The clock is not synchronized.  [clock]",
        "       where: mon-1",
        "       do:    timedatectl",
        "blocked: 1 finding blocks, 1 warning",
    ]
    assert finding_lines([]) == ["ready: 0 findings block, 0 warnings"]


def test_status_shows_root_units_and_last_runs() -> None:
    inspection = Inspection(
        node="mon-1",
        generation=OLD,
        manifest=BEFORE,
        drift=(),
        units=(UnitState("prometheus", "active", "running", 42), UnitState("nginx", "failed", "failed")),
        transactions=(
            Run(3, "000003-2", "apply", "root", 7190.0, None, None, True, OLD, NEW, False),
            Run(2, "000002-20261124T101500Z", "apply", "root", 900.0, 901.0, "committed", False, None, OLD, False),
            Run(1, "000001-20261124T100000Z", "apply", "root", 0.0, None, None, False, None, NEW, False),
        ),
        facts=(),
    )
    assert status_lines(inspection, "/", "this machine", 7200.0) == [
        "node        mon-1",
        "root        / (this machine)",
        "generation  111111111111",
        "front door  https://observability.example.org:8443/",
        "drift       none",
        "",
        "Units",
        "  active  prometheus  running  PID 42",
        "  failed  nginx       failed",
        "",
        "Last runs",
        "  000003-2                 10 seconds ago  apply  under way   222222222222",
        "  000002-20261124T101500Z  1 hour ago      apply  committed   111111111111",
        "  000001-20261124T100000Z  2 hours ago     apply  unfinished  222222222222",
    ]


def test_status_of_an_empty_machine_says_how_to_begin() -> None:
    empty = Inspection("mon-1", None, None, (), (), (), ())
    assert "generation  none yet, begin with: observability setup --observability" in status_lines(empty, "/", "", 0.0)
    assert "generation  none yet, begin with: observability up" in status_lines(empty, "/srv/x/.observability", "", 0.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 seconds ago"), (1, "1 second ago"), (119, "1 minute ago"), (7200, "2 hours ago"), (180000, "2 days ago")],
)
def test_ages_are_told_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_generations_are_listed_with_every_time_they_came_into_force() -> None:
    kept = (Generation(NEW, (0.0, 3600.0), True), Generation(OLD, (), False))
    assert generation_table(kept, 3660.0) == [
        "   generation    came into force                     and before that",
        "*  222222222222  1970-01-01T01:00:00Z  1 minute ago  1970-01-01T00:00:00Z",
        "   111111111111  never",
    ]
    assert generation_table((), 0.0) == []


def test_a_generation_and_a_difference_are_shown_by_sort() -> None:
    lines = manifest_lines(BEFORE)
    assert "  0640  root:nginx  9   etc/nginx/users" in lines
    assert "  /etc/prometheus  -> current/etc/prometheus" in lines
    plan = decide_plan(BEFORE, AFTER, contents_before=CONTENTS, contents_after=CONTENTS)
    assert difference_lines(plan.difference, diffs=False, additions=False)[1:] == [
        "Files",
        "  ~ etc/nginx/users  (secret, content not shown)",
        "  ~ etc/prometheus/prometheus.yml",
    ]


def test_a_log_line_cannot_drive_the_terminal() -> None:
    event = Event("log", "progress", "hello\x1b]0;title\x07", {"unit": "nginx", "time": 1795515300.5})
    assert log_line(event) == "2026-11-24T10:15:00Z nginx hello\\x1b]0;title\\x07"
