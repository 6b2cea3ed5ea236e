"""Pages that Prometheus fills in: what is text stays text, and each value has its standing."""

from __future__ import annotations

from obstack.model.dashboard import Dashboard, Panel, Thresholds
from obstack.render.console import console_page


def page(panel: Panel, title: str = "Shop") -> str:
    return console_page("shop", {"shop": Dashboard(title=title, panels=(panel,))}).decode()


def panel(**values: object) -> Panel:
    return Panel.model_validate({"title": "t", "description": "d", "kind": "line", "expr": "up"} | values)


def test_what_a_module_calls_itself_is_neither_markup_nor_an_action() -> None:
    text = page(panel(title="<b> & {{ query }}", description="{{"), title='{{ define "x" }}')
    assert "<h2>&lt;b&gt; &amp; {{ &quot;{{&quot; }}".replace("&quot;", '"') in text
    assert "{{ query }}" not in text
    assert "define" in text
    assert "{{ define" not in text


def test_a_query_is_narrowed_by_what_the_reader_chose_and_stays_one_text() -> None:
    text = page(panel(expr='rate(a{x="\\"y"}[5m]) % 2'))
    assert r'{{ range printf "topk(20, rate(a{%[1]s,x=\"\\\"y\"}[5m]) %% 2)" $scope | query' in text


def test_of_many_series_the_worst_are_shown() -> None:
    assert '"bottomk(20, up{%[1]s})"' in page(panel(thresholds=Thresholds(critical=1, worse="below")))
    assert '"topk(20, up{%[1]s})"' in page(panel(thresholds=Thresholds(critical=1)))


def test_a_value_has_a_standing() -> None:
    limits = Thresholds(warning=0.8, critical=0.95)
    both = '"{{ if ge (value .) 0.95 }}critical{{ else if ge (value .) 0.8 }}warning{{ end }}"'
    assert f"<td class={both}>" in page(panel(thresholds=limits))
    below = '"{{ if lt (value .) 1.0 }}warning{{ end }}"'
    assert f"<td class={below}>" in page(panel(thresholds=Thresholds(warning=1, worse="below")))
    assert '<td class="">' in page(panel())
    assert "{{ if eq (value .) 1.0 }}good{{ else }}critical{{ end }}" in page(panel(kind="state"))


def test_a_value_is_written_in_its_unit() -> None:
    assert "{{ . | value | humanizePercentage }}</td>" in page(panel(unit="ratio"))
    assert "{{ . | value | humanize }} orders/s</td>" in page(panel(unit="orders/s"))
