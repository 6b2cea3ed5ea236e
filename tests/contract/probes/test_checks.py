"""Checkers on a staged tree: the products' own ones, and ones that misbehave."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from obstack.agent import wire
from obstack.agent.checks import OUTPUT_LIMIT, CheckFailure, run_checks
from obstack.agent.supervisor import Supervisor

pytestmark = pytest.mark.contract


def run(tmp_path: Path, *checks: wire.CheckEntry, units: tuple[wire.UnitEntry, ...] = ()) -> list[CheckFailure]:
    tree, scratch = tmp_path / "tree", tmp_path / "scratch"
    tree.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    manifest = wire.Manifest("mon-1", "observability", "supervisor", units=units, checks=checks)
    return run_checks(manifest, str(tree), "/x/current", str(scratch), Supervisor("/x"))


def shell(name: str, script: str, timeout_s: int = 20) -> wire.CheckEntry:
    return wire.CheckEntry(name, ("/bin/sh", "-c", script, "sh", "{tree}", "{scratch}"), timeout_s=timeout_s)


def test_a_good_tree_passes_and_a_bad_one_is_named(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/prometheus.yml").write_text(json.dumps({"rule_files": ["rules.yml"]}))
    check = wire.CheckEntry("prometheus", (f"{programs}/usr/bin/promtool", "check", "config", "{tree}/prometheus.yml"))
    rules = tmp_path / "tree/rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "a", "rules": [{"record": "b", "expr": "up"}]}]}))
    assert run(tmp_path, check) == []
    rules.write_text(json.dumps({"groups": [{"name": "a", "rules": [{"record": "b", "expr": "up ("}]}]}))
    (failure,) = run(tmp_path, check)
    assert failure.name == "prometheus"
    assert failure.code == 1
    assert "parse error" in failure.output


def test_all_failures_are_returned_in_the_order_of_the_checks(tmp_path: Path) -> None:
    checks = [shell("first", "echo one; exit 3"), shell("good", "exit 0"), shell("second", "echo two >&2; exit 4")]
    units = (wire.UnitEntry("absent", "units/absent.conf"),)
    found = [(failure.name, failure.code) for failure in run(tmp_path, *checks, units=units)]
    assert found == [("first", 3), ("second", 4), ("units", 1)]


def test_files_are_named_as_the_configuration_knows_them(tmp_path: Path) -> None:
    (failure,) = run(tmp_path, shell("named", 'echo "$1/etc/nginx/nginx.conf:7: unknown"; exit 1'))
    assert failure.output == "etc/nginx/nginx.conf:7: unknown\n"


def test_a_checker_that_cannot_be_run_has_failed(tmp_path: Path) -> None:
    (failure,) = run(tmp_path, wire.CheckEntry("absent", ("{tree}/no-such-program",)))
    assert failure.code == -1
    assert "cannot be run: No such file or directory" in failure.output


def test_a_checker_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    (failure,) = run(tmp_path, shell("hanging", "echo begun; sleep 60 & sleep 60", timeout_s=1))
    assert time.monotonic() - began < 10
    assert failure.code == -1
    assert "did not end within 1 s" in failure.output
    assert "begun" in failure.output


def test_a_checker_that_is_killed_has_failed(tmp_path: Path) -> None:
    (failure,) = run(tmp_path, shell("killed", "kill -9 $$"))
    assert failure.code == -9


def test_nothing_of_our_environment_reaches_a_checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    check = wire.CheckEntry("environment", ("/bin/sh", "-c", "env | sort; exit 1"), {"GIVEN": "{tree}"})
    (failure,) = run(tmp_path, check)
    names = {line.partition("=")[0] for line in failure.output.splitlines()}
    assert names == {"GIVEN", "LANG", "PATH", "PWD"}
    assert f"GIVEN={tmp_path}/tree" in failure.output


def test_endless_output_is_bounded_with_both_ends_kept(tmp_path: Path) -> None:
    (failure,) = run(tmp_path, shell("wordy", "echo begin; seq 100000; echo end; exit 1"))
    assert len(failure.output) < OUTPUT_LIMIT + 200
    assert failure.output.startswith("begin")
    assert failure.output.rstrip().endswith("end")


def test_each_checker_has_a_scratch_folder_of_its_own(tmp_path: Path) -> None:
    checks = [shell(name, 'ls "$2"; touch "$2/mine"; exit 1') for name in ("one", "two")]
    assert [failure.output for failure in run(tmp_path, *checks)] == ["", ""]
