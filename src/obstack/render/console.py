"""Dashboards without Grafana: pages that Prometheus itself fills in, its console templates.

A page is HTML with actions of Go's html/template, which escapes what comes out of a query by the place where it stands.
Functions are those of Prometheus's documentation ("Template reference"); there is no script in a page. What a dashboard
draws as a course is here the value of now.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from typing import Final

from obstack.content.promql import narrowed
from obstack.model.dashboard import Dashboard, Panel

FOLDER: Final = "consoles"
LONGEST: Final = 20
"""Rows of one panel; of more series the worst are shown, or the highest where none is worse."""

STYLE: Final = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1rem;color:#222;"
    "background:#fff}a{color:#0b57d0}nav a{margin-right:.8rem}form{margin:1rem 0}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem;align-items:start}"
    "section{border:1px solid #ccc;border-radius:6px;padding:.6rem .9rem}h2{font-size:1rem;margin:0}"
    "p{margin:.2rem 0 .5rem;color:#666;font-size:.85rem}table{border-collapse:collapse;width:100%}"
    "td{padding:.1rem .3rem;vertical-align:top;overflow-wrap:anywhere}td+td{text-align:right;white-space:nowrap}"
    ".warning{color:#a15c00}.critical{color:#b3261e;font-weight:bold}.good{color:#146c2e}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}a{color:#8ab4f8}section{border-color:#444}"
    "p{color:#999}.warning{color:#f2b866}.critical{color:#f2877e}.good{color:#7fcf96}}"
)
SCOPE: Final = (
    '{{ $scope := "host=~\\".*\\"" }}{{ if .Params.host }}{{ $scope = printf "host=%q" .Params.host }}{{ end }}'
)
SHOWN: Final = {
    "ratio": "{{ . | value | humanizePercentage }}",
    "seconds": "{{ . | value | humanizeDuration }}",
    "bytes": "{{ . | value | humanize1024 }}B",
    "bytes/s": "{{ . | value | humanize1024 }}B/s",
    "time": "{{ . | value | humanizeTimestamp }}",
    "none": "{{ . | value | humanize }}",
}


def console_page(name: str, boards: Mapping[str, Dashboard]) -> bytes:
    """Given a dashboard's name and all that there are, return its page, which leads to the others."""
    board = boards[name]
    links = "".join(f'<a href="{other}.html">{_text(each.title)}</a>' for other, each in boards.items())
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="refresh" content="60">',
        f"<title>{_text(board.title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        SCOPE,
        f"<nav>{links}</nav>",
        f"<h1>{_text(board.title)}{{{{ if .Params.host }}}}: {{{{ .Params.host }}}}{{{{ end }}}}</h1>",
        *_choice(),
        "<main>",
        *(line for panel in board.panels for line in _panel(panel)),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines).encode() + b"\n"


def _choice() -> Iterator[str]:
    """The machine to narrow the page down to."""
    yield '<form method="get"><label>Machine <select name="host"><option value="">all</option>'
    yield '{{ $chosen := .Params.host }}{{ range query "count by (host) (up)" | sortByLabel "host" }}'
    yield (
        '<option{{ if eq (label "host" .) $chosen }} selected{{ end }}>{{ label "host" . }}</option>'
        '{{ end }}</select></label> <button type="submit">Show</button></form>'
    )


def _panel(panel: Panel) -> Iterator[str]:
    yield f"<section><h2>{_text(panel.title)}</h2>"
    yield f"<p>{_text(panel.description)}</p>"
    yield f'<table>{{{{ range printf {_literal(_query(panel))} $scope | query | sortByLabel "host" }}}}'
    yield f"<tr><td>{_names(panel)}</td><td class={_standing(panel)}>{_value(panel)}</td></tr>"
    yield "{{ else }}<tr><td>nothing to show</td></tr>{{ end }}</table></section>"


def _query(panel: Panel) -> str:
    """Return the query as the format of a `printf` whose argument is the matcher of the machine."""
    marked = narrowed(panel.expr.replace("%", "%%"), "%[1]s")
    worst = "bottomk" if panel.thresholds is not None and panel.thresholds.worse == "below" else "topk"
    return f"{worst}({LONGEST}, {marked})"


def _names(panel: Panel) -> str:
    legend = f' {{{{ index .Labels "{panel.legend}" }}}}' if panel.legend not in (None, "host") else ""
    return f'<a href="?host={{{{ label "host" . }}}}">{{{{ label "host" . }}}}</a>{legend}'


def _value(panel: Panel) -> str:
    if panel.kind == "state":
        return "{{ if eq (value .) 1.0 }}well{{ else }}not well{{ end }}"
    return SHOWN.get(panel.unit, f"{{{{ . | value | humanize }}}} {_text(panel.unit)}")


def _standing(panel: Panel) -> str:
    """The class of a value, as the words of an attribute."""
    if panel.kind == "state":
        return '"{{ if eq (value .) 1.0 }}good{{ else }}critical{{ end }}"'
    limits = panel.thresholds
    if limits is None:
        return '""'
    reached = "ge" if limits.worse == "above" else "lt"
    steps = [("critical", limits.critical), ("warning", limits.warning)]
    tests = [f"if {reached} (value .) {float(limit)} }}}}{name}" for name, limit in steps if limit is not None]
    return '"{{ ' + "{{ else ".join(tests) + '{{ end }}"'


def _text(text: str) -> str:
    """Text that stays text: for HTML, and for the template, which would take braces for an action."""
    return html.escape(text).replace("{{", '{{ "{{" }}')


def _literal(text: str) -> str:
    """A string of Go; one of JSON is written in the same way."""
    return json.dumps(text, ensure_ascii=False)
