"""Where a query selects series, and what is made of it."""

from __future__ import annotations

import pytest

from obstack.content.promql import metrics, narrowed, with_rate_window

QUERIES = {
    "up": ("up", 'up{h="x"}'),
    "up{}": ("up", 'up{h="x"}'),
    'up{job="a"}': ("up", 'up{h="x",job="a"}'),
    '{__name__=~"a.*"}': ("", '{h="x",__name__=~"a.*"}'),
    "sum by (host) (rate(a_total[5m]))": ("a_total", 'sum by (host) (rate(a_total{h="x"}[5m]))'),
    "sum(rate(a_total[5m])) by (host)": ("a_total", 'sum(rate(a_total{h="x"}[5m])) by (host)'),
    "sum without (state) (a) / on (host) group_left (name) b": (
        "a b",
        'sum without (state) (a{h="x"}) / on (host) group_left (name) b{h="x"}',
    ),
    "a * on (host) group_left b": ("a b", 'a{h="x"} * on (host) group_left b{h="x"}'),
    "a > bool 3 and b unless c or vector(1)": ("a b c", 'a{h="x"} > bool 3 and b{h="x"} unless c{h="x"} or vector(1)'),
    "time() - push_time_seconds": ("push_time_seconds", 'time() - push_time_seconds{h="x"}'),
    "instance:node_cpu:ratio_rate5m": ("instance:node_cpu:ratio_rate5m", 'instance:node_cpu:ratio_rate5m{h="x"}'),
    'label_replace(a, "b", "$1", "c", "(.*)")': ("a", 'label_replace(a{h="x"}, "b", "$1", "c", "(.*)")'),
    "topk(3, a) # worst b": ("a", 'topk(3, a{h="x"}) # worst b'),
    'a{x="}",y=~"{"} + 1e3 * 0x1f': ("a", 'a{h="x",x="}",y=~"{"} + 1e3 * 0x1f'),
    "max_over_time(a[1h:5m] offset 1d)": ("a", 'max_over_time(a{h="x"}[1h:5m] offset 1d)'),
    "rate(a[5m] @ end()) + Inf - NaN": ("a", 'rate(a{h="x"}[5m] @ end()) + Inf - NaN'),
    "count_values by (version) ('v', a)": ("a", "count_values by (version) ('v', a{h=\"x\"})"),
    "-a ^ 2 atan2 b": ("a b", '-a{h="x"} ^ 2 atan2 b{h="x"}'),
}


@pytest.mark.parametrize("query", QUERIES)
def test_the_metrics_of_a_query(query: str) -> None:
    assert metrics(query) == tuple(QUERIES[query][0].split())


@pytest.mark.parametrize("query", QUERIES)
def test_matchers_are_added_to_each_selector(query: str) -> None:
    assert narrowed(query, 'h="x"') == QUERIES[query][1]


def test_the_window_of_a_rate_alone_is_replaced() -> None:
    query = "rate(a[5m]) + increase(b[1h]) + rate(c[10m:1m]) + sum(rate(d{x='[1m]'}[2m]))"
    expected = "rate(a[W]) + increase(b[1h]) + rate(c[10m:1m]) + sum(rate(d{x='[1m]'}[W]))"
    assert with_rate_window(query, "W") == expected
