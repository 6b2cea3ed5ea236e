"""The threat model names, for each threat, a test that is there and that `make test-security` runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "threat-model.md"
TEST = re.compile(r"\[`(?P<name>test_\w+)`\]\((?P<file>\S+?\.py)\)")


def rows() -> list[list[str]]:
    """The rows of all tables of threats: threat, control, test."""
    found = []
    inside = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells == ["threat", "control", "test"]:
            inside = True
        elif not cells:
            inside = False
        elif inside and set("".join(cells)) != {"-"}:
            found.append(cells)
    return found


ROWS = rows()


def is_marked(statements: list[ast.stmt], name: str) -> bool | None:
    """Whether a test carries the mark, by itself or by its file; None when there is no such test."""
    of_file = any("mark.security" in ast.unparse(s) for s in statements if isinstance(s, ast.Assign))
    for statement in statements:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return of_file or any("mark.security" in ast.unparse(mark) for mark in statement.decorator_list)
    return None


def test_there_are_threats_and_each_stands_once() -> None:
    threats = [row[0] for row in ROWS]
    assert threats
    assert sorted(threats) == sorted(set(threats))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_threat_has_a_control_and_a_test_that_is_run(row: list[str]) -> None:
    threat, control, tests = row
    assert threat
    assert control
    named = list(TEST.finditer(tests))
    assert named, f"no test is named in {tests!r}"
    for match in named:
        file = (PAGE.parent / match["file"]).resolve()
        marked = is_marked(ast.parse(file.read_text(encoding="utf-8")).body, match["name"])
        assert marked is not None, f"there is no {match['name']} in {file.name}"
        assert marked, f"{match['name']} in {file.name} is not marked security"
