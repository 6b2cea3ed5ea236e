"""Verbs on a root where nothing is deployed yet, with the real agent: one document each, and the contract's codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(sys.path),
        "OBSERVABILITY_CACHE": str(root.parent / "cache"),
    }
    command = [sys.executable, "-m", "obstack.cli.main", *arguments, "--root", str(root)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("status", 0),
        ("drift", 0),
        ("generations list", 0),
        ("rollback --list", 0),
        ("recover", 0),
        ("health", 1),
        ("logs", 1),
        ("plan", 2),
        ("apply --yes", 2),
        ("rollback --auto", 2),
        ("rollback", 2),
        ("rollback --auto --list", 2),
        ("rollback --backup yesterday", 2),
        ("generations show 3f9a", 2),
        ("logs --since soon", 2),
        ("health --watch", 2),
    ],
)
def test_one_document_and_the_code_of_the_contract(arguments: str, code: int, tmp_path: Path) -> None:
    done = run(tmp_path / "root", *arguments.split(), "--json")
    assert done.returncode == code, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert ("error" in document) == (code != 0)


def test_for_people_the_error_is_on_standard_error_alone(tmp_path: Path) -> None:
    done = run(tmp_path / "root", "health", "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error[nothing-deployed]")
    assert "\n  do:    observability apply\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("status", "none yet, begin with: observability up"),
        ("drift", "localhost: no generation is in force, so there is nothing to differ from"),
        ("generations list", "localhost keeps no generation yet"),
        ("rollback --list", "localhost keeps no generation yet"),
        ("recover", "localhost: nothing was left unfinished, no generation is in force"),
        ("uninstall --yes", "localhost: no generation was in force, data is kept"),
    ],
)
def test_for_people_it_is_said_that_nothing_is_there(arguments: str, says: str, tmp_path: Path) -> None:
    assert says in run(tmp_path / "root", *arguments.split()).stdout


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    run(tmp_path / "root", "status")
    run(tmp_path / "root", "drift", "--json")
    assert not (tmp_path / "root").exists()


def test_a_reader_that_goes_away_ends_it_as_any_filter() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-m", "obstack.cli.main", "--help"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141
