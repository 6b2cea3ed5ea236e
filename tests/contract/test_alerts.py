"""Every alert fires when it must, not a moment too early, and stays silent otherwise: by promtool of each version."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from contract.alert_cases import CASES, Case, Series
from contract.debian import Distribution
from obstack.content.groups import rule_files
from obstack.content.rules import Alert
from obstack.render.emit import json_bytes
from obstack.render.node import render_node
from rendering.settled import SERVER, materials, small_site

pytestmark = pytest.mark.contract


def alert_names() -> set[str]:
    groups = [group for file in rule_files(("prometheus",)).values() for group in file]
    return {rule.name for group in groups for rule in group.rules if isinstance(rule, Alert)}


def count(case: Case, minute: int, expected: int) -> dict[str, Any]:
    severity = f',severity="{case.severity}"' if case.severity else ""
    chosen = f'ALERTS{{alertname="{case.alert}",alertstate="firing"{severity}{case.labels}}}'
    return {
        "expr": f"count({chosen}) or vector(0)",
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": expected}],
    }


def scenario(series: Series, *questions: dict[str, Any]) -> dict[str, Any]:
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, "promql_expr_test": list(questions)}


def scenarios(case: Case) -> list[dict[str, Any]]:
    questions = [count(case, case.fires_at, 1)]
    if case.quiet_at is not None:
        questions.insert(0, count(case, case.quiet_at, 0))
    found = [scenario(case.firing, *questions)]
    if case.healthy:
        minutes = (case.fires_at, case.fires_at + 5)
        found.append(scenario(case.healthy, *(count(case, minute, 0) for minute in minutes)))
    return found


def write_rules(folder: Path) -> list[str]:
    paths = []
    for file in render_node(small_site(), SERVER, materials()).files:
        if file.path.startswith("etc/prometheus/rules/"):
            path = folder / Path(file.path).name
            path.write_bytes(file.content)
            paths.append(str(path))
    return paths


def promtool(suite: Distribution, folder: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    document = {"rule_files": write_rules(folder), "evaluation_interval": "1m", "tests": tests}
    path = folder / "tests.yml"
    path.write_bytes(json_bytes(document))
    program = suite.folder / "root/usr/bin/promtool"
    return subprocess.run([program, "test", "rules", path], capture_output=True, text=True, check=False)


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == alert_names()


def test_every_alert_behaves(suite: Distribution, tmp_path: Path) -> None:
    judged = promtool(suite, tmp_path, [test for case in CASES for test in scenarios(case)])
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_judge_notices_an_alert_that_fires_too_early(suite: Distribution, tmp_path: Path) -> None:
    (case,) = (case for case in CASES if case.alert == "TargetDown")
    judged = promtool(suite, tmp_path, [scenario(case.firing, count(case, 1, 1))])
    assert judged.returncode != 0


def test_no_rule_is_given_twice(suite: Distribution, tmp_path: Path) -> None:
    program = suite.folder / "root/usr/bin/promtool"
    judged = subprocess.run(
        [program, "check", "rules", "--lint=all", "--lint-fatal", *write_rules(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
