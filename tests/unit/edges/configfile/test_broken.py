"""Broken configurations, each with the exact place, message and remedy of every problem. The table is in `cases/`."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from obstack.edges.configfile import FileConfigurations

CASES: list[dict[str, Any]] = [
    case
    for file in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
]


def test_the_table_is_large_and_its_names_are_distinct() -> None:
    assert len(CASES) > 100
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_problem_has_its_place_message_and_remedy(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("config")
    (folder / "environments").mkdir(parents=True)
    (folder / "global.yaml").write_text(case["global"], encoding="utf-8")
    if "overlay" in case:
        (folder / "environments" / "staging.yaml").write_text(case["overlay"], encoding="utf-8")
    if "hosts" in case:
        (folder / "hosts").mkdir()
    for name, text in case.get("hosts", {}).items():
        (folder / "hosts" / name).write_text(text, encoding="utf-8")
    problems = FileConfigurations(folder).examine(case.get("environment")).problems
    assert [
        {"place": item.place, "path": item.path, "message": item.message, "remedy": item.remedy} for item in problems
    ] == case["problems"]
    assert all("hunter2" not in str(vars(problem)) for problem in problems)
