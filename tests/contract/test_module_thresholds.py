"""Thresholds that differ by host: promtool of each Debian suite says which hosts an alert fires for."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from contract.debian import Distribution
from obstack.content.groups import groups_document
from obstack.content.module_rules import HOSTS_IN_A_MATCHER, module_groups
from obstack.edges.modulefile import load_modules
from obstack.model.site import Site
from obstack.render.emit import json_bytes

pytestmark = pytest.mark.contract

Fleet: TypeAlias = Mapping[str, tuple[int, int | None]]

# Open connections of each host, and above how many it is told; without a number the module's default, 600.
FLEET: Fleet = {
    "web-1": (500, None),
    "web-2": (700, None),
    "web-3": (700, 800),
    "web-4": (900, 800),
    "web-5": (550, 500),
}
TOLD = {"web-1": False, "web-2": True, "web-3": False, "web-4": True, "web-5": True}


def series(name: str, host: str, values: str) -> dict[str, str]:
    return {"series": f'{name}{{job="nginx",instance="{host}:9113",host="{host}"}}', "values": values}


def judged(
    suite: Distribution, folder: Path, told: Mapping[str, bool], fleet: Fleet = FLEET, up: str = "1x30"
) -> subprocess.CompletedProcess[str]:
    hosts: dict[str, Any] = {
        host: {
            "address": "192.0.2.1",
            "modules": {"nginx": {"options": {"active_connections": limit} if limit else {}}},
        }
        for host, (_, limit) in fleet.items()
    }
    site = Site.model_validate({"domain": "o.example.org", "hosts": hosts})
    groups = [group for group in module_groups(site, load_modules()) if group.name == "nginx"]
    (folder / "rules.yml").write_bytes(json_bytes(groups_document(groups)))
    inputs = [series("up", host, up) for host in fleet]
    inputs += [series("nginx_connections_active", host, f"{count}x30") for host, (count, _) in fleet.items()]
    questions = [
        {
            "expr": f'count(ALERTS{{alertname="NginxConnectionsHigh",alertstate="firing",host="{host}"}}) or vector(0)',
            "eval_time": "15m",
            "exp_samples": [{"labels": "{}", "value": int(fires)}],
        }
        for host, fires in told.items()
    ]
    tests = [{"interval": "1m", "input_series": inputs, "promql_expr_test": questions}]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yml").write_bytes(json_bytes(document))
    program = suite.folder / "root/usr/bin/promtool"
    return subprocess.run(
        [program, "test", "rules", "tests.yml"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("up", ["1x30", "0x30"], ids=["reachable", "scraped in vain"])
def test_each_host_is_judged_by_its_own_threshold(suite: Distribution, tmp_path: Path, up: str) -> None:
    answer = judged(suite, tmp_path, TOLD, up=up)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_judge_notices_a_host_that_is_told_wrongly(suite: Distribution, tmp_path: Path) -> None:
    assert judged(suite, tmp_path, {**TOLD, "web-3": True}).returncode != 0


def test_a_fleet_that_needs_several_matchers_is_judged_alike(suite: Distribution, tmp_path: Path) -> None:
    hosts = range(2 * HOSTS_IN_A_MATCHER + 200)
    fleet = {f"web-{number}": (700, 800 if number % 2 else None) for number in hosts}
    told = {f"web-{number}": number % 2 == 0 for number in (0, 1, len(hosts) - 2, len(hosts) - 1)}
    answer = judged(suite, tmp_path, told, fleet)
    assert answer.returncode == 0, answer.stdout + answer.stderr
