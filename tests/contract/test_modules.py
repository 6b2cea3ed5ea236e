"""Every module is whole, and each of its alerts and queries is judged by promtool of each Debian suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract.debian import Distribution
from obstack.catalog.modules import ShippedModule
from obstack.edges.modulefile import module_names, shipped_folder
from obstack.edges.modulefile.begin import begin_module
from obstack.edges.modulefile.validate import Validated, validate_module
from obstack.edges.promtool import Promtool

pytestmark = pytest.mark.contract


def promtool(suite: Distribution) -> Promtool:
    return Promtool(suite.folder / "root/usr/bin/promtool")


def validated(folder: Path) -> tuple[ShippedModule, Validated]:
    found = validate_module(folder)
    assert found.shipped is not None
    return found.shipped, found


@pytest.mark.parametrize("name", module_names(shipped_folder()))
def test_the_alerts_of_a_module_behave(suite: Distribution, name: str) -> None:
    module, found = validated(shipped_folder() / name)
    assert found.problems == ()
    assert promtool(suite).judge(module, found.tests) == ""


def test_a_module_to_begin_with_is_whole(suite: Distribution, tmp_path: Path) -> None:
    begin_module(tmp_path, "web-shop")
    module, found = validated(tmp_path / "web-shop")
    assert found.problems == ()
    assert promtool(suite).judge(module, found.tests) == ""


@pytest.mark.parametrize(
    ("file", "before", "after", "sign"),
    [
        ("alerts.yaml", "shop_up == 0", "shop_up == 1", "FAILED"),
        ("alerts.yaml", "shop_up == 0", "shop_up = 0", "could not parse expression"),
        ("alerts.test.yaml", "eval_time: 4m", "eval_time: 3m", "FAILED"),
        ("dashboard.json", '"expr": "shop_up"', '"expr": "shop_up{"', "queries.yml"),
    ],
)
def test_the_judge_notices_what_is_wrong(
    suite: Distribution, tmp_path: Path, file: str, before: str, after: str, sign: str
) -> None:
    begin_module(tmp_path, "shop")
    place = tmp_path / "shop" / file
    text = place.read_text(encoding="utf-8")
    assert before in text
    place.write_text(text.replace(before, after), encoding="utf-8")
    module, found = validated(tmp_path / "shop")
    answer: Any = promtool(suite).judge(module, found.tests)
    assert sign in answer
