"""Dashboards as Grafana reads them: the rules of its linter, and a layout without overlaps."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from obstack.content.dashboards import STACK
from obstack.content.promql import metrics, selectors
from obstack.edges.modulefile import load_modules
from obstack.model.dashboard import Dashboard, Panel, Thresholds
from obstack.render.grafana_dashboard import grafana_dashboard, grafana_query

MODULES = {name: module.dashboard for name, module in load_modules().items() if module.dashboard is not None}
BOARDS = {**STACK, **MODULES}
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def document(name: str) -> dict[str, Any]:
    return grafana_dashboard(name, BOARDS[name], "15s")


def test_every_module_has_a_dashboard_of_a_name_of_its_own() -> None:
    assert not set(STACK) & set(MODULES)
    assert len({document(name)["title"] for name in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_obeys_the_rules_of_grafanas_linter(name: str) -> None:
    board = document(name)
    assert UID.fullmatch(board["uid"])
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert list(variables) == ["datasource", "environment", "role", "host"]
    assert all(variable["label"] for variable in variables.values())
    assert json.loads(json.dumps(board)) == board
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        (target,) = panel["targets"]
        assert "[5m]" not in re.sub(r"increase\(.*?\)", "", target["expr"]), "a rate has a window of its own"
        for selector in selectors(target["expr"]):
            assert target["expr"][selector.inside :].startswith("environment=~"), f"{selector} is not narrowed"


@pytest.mark.parametrize("name", BOARDS)
def test_titles_are_told_apart_and_panels_do_not_overlap(name: str) -> None:
    panels = document(name)["panels"]
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_asks_for_something(name: str) -> None:
    assert all(metrics(panel.expr) for panel in BOARDS[name].panels)


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_shown_as_a_number_is_judged_or_an_amount(name: str) -> None:
    """A number without thresholds is one of which no value is bad by itself; those are few and named here."""
    amounts = {"Machines", "Series", "Up since", "Silences in force", "Time since the last report"}
    for panel in BOARDS[name].panels:
        assert panel.kind != "number" or panel.thresholds or panel.title in amounts, panel.title


def steps(thresholds: Thresholds | None, kind: str = "number") -> list[tuple[str, float | None]]:
    panel = Panel.model_validate(
        {"title": "t", "description": "d", "kind": kind, "expr": "up", "thresholds": thresholds}
    )
    board = grafana_dashboard("b", Dashboard(title="b", panels=(panel,)), "15s")
    return [(step["color"], step["value"]) for step in _steps_of(board)]


def _steps_of(board: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = board["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return found


def test_the_colours_follow_the_thresholds() -> None:
    assert steps(None) == [("green", None)]
    assert steps(Thresholds(warning=1, critical=2)) == [("green", None), ("yellow", 1), ("red", 2)]
    assert steps(Thresholds(critical=2)) == [("green", None), ("red", 2)]
    assert steps(Thresholds(warning=2, critical=1, worse="below")) == [("red", None), ("yellow", 1), ("green", 2)]
    assert steps(Thresholds(warning=2, worse="below")) == [("yellow", None), ("green", 2)]
    assert steps(None, "state") == [("red", None), ("green", 1)]


def test_a_query_is_for_the_chosen_machines_and_in_grafanas_units() -> None:
    scope = 'environment=~"$environment",role=~"$role",host=~"$host"'
    assert grafana_query("rate(a[5m])", "none") == f"rate(a{{{scope}}}[$__rate_interval])"
    assert grafana_query("a", "time") == f"(a{{{scope}}}) * 1000"
