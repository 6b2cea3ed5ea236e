"""The queries of every dashboard: promtool parses them, and narrows them down to a host as this program does."""

from __future__ import annotations

import subprocess

import pytest

from contract.debian import Distribution
from obstack.content.dashboards import dashboards
from obstack.content.promql import narrowed, with_rate_window
from obstack.edges.modulefile import load_modules

pytestmark = pytest.mark.contract

BOARDS = dashboards(load_modules())


def promql(suite: Distribution, *words: str) -> str:
    program = str(suite.folder / "root/usr/bin/promtool")
    done = subprocess.run(
        [program, "--experimental", "promql", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


@pytest.mark.parametrize("name", BOARDS)
def test_queries_are_narrowed_as_promtool_narrows_them(newest: Distribution, name: str) -> None:
    for panel in BOARDS[name].panels:
        ours = narrowed(panel.expr, 'host="web-1"')
        theirs = promql(newest, "label-matchers", "set", panel.expr, "host", "web-1")
        # Written in one way, they are the same text; the order of labels inside braces is promtool's own.
        assert promql(newest, "label-matchers", "set", ours, "host", "web-1") == theirs, panel.title
        assert promql(newest, "label-matchers", "delete", ours, "host") == promql(newest, "format", panel.expr)


def test_the_window_of_a_rate_is_where_promtool_sees_it(newest: Distribution) -> None:
    queries = [panel.expr for board in BOARDS.values() for panel in board.panels if "rate(" in panel.expr]
    assert queries
    for query in queries:
        ours = promql(newest, "format", with_rate_window(query, "7m"))
        assert ours == promql(newest, "format", query).replace("[5m]", "[7m]") or "increase(" in query
