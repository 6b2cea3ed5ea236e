"""A dashboard as Grafana reads it: the classic JSON model, version 39, which Grafana 10.4 to 13 import and migrate.

Field names are those of Grafana's documentation ("Dashboard JSON model", "Provision dashboards"). Data come from the
data source that the variable `datasource` names, so that the same file serves another Grafana.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obstack.content.promql import narrowed, with_rate_window
from obstack.model.dashboard import Dashboard, Panel, Thresholds

SCHEMA_VERSION: Final = 39
COLUMNS: Final = 24
TAG: Final = "observability"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SCOPE: Final = 'environment=~"$environment",role=~"$role",host=~"$host"'
VARIABLES: Final = (
    ("environment", "Environment", "label_values(up, environment)"),
    ("role", "Role", 'label_values(up{environment=~"$environment"}, role)'),
    ("host", "Machine", 'label_values(up{environment=~"$environment",role=~"$role"}, host)'),
)
SIZES: Final = {"state": (4, 4), "number": (4, 4), "line": (12, 8), "table": (12, 8)}
"""Width, of 24 columns, and height of a panel of each kind."""

UNITS: Final = {
    "none": "short",
    "ratio": "percentunit",
    "seconds": "s",
    "days": "d",
    "bytes": "bytes",
    "bytes/s": "Bps",
    "time": "dateTimeFromNow",
}
"""Grafana's names of units; any other is shown behind the number as it is."""

GREEN: Final = "green"
YELLOW: Final = "yellow"
RED: Final = "red"


def grafana_uid(name: str) -> str:
    """Given a dashboard's name, return its identity in Grafana, the same in each release of this program."""
    return f"obs-{name}"


def grafana_dashboard(name: str, board: Dashboard, interval: str) -> dict[str, Any]:
    """Given a dashboard, its name and the longest interval of a scrape, return Grafana's document of it.

    Grafana looks back over four intervals at least, so that a rate has values for the host that is scraped least often.
    """
    places = _places(board.panels)
    panels = [
        _panel(number, panel, place, interval)
        for number, (panel, place) in enumerate(zip(board.panels, places, strict=True), start=1)
    ]
    return {
        "uid": grafana_uid(name),
        "title": board.title,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,  # one moment is marked in all panels
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [_source_variable(), *(_variable(*variable) for variable in VARIABLES)]},
        "links": [_link()],
        "annotations": {"list": []},
        "panels": panels,
    }


def _places(panels: Sequence[Panel]) -> Iterator[dict[str, int]]:
    """Panels from left to right in their order; a panel that does not fit into a row, or is higher, begins one."""
    column = row = height = 0
    for panel in panels:
        wide, high = SIZES[panel.kind]
        if column + wide > COLUMNS or (column and high != height):
            row, column = row + height, 0
        height = high
        yield {"x": column, "y": row, "w": wide, "h": high}
        column += wide


def _panel(number: int, panel: Panel, place: Mapping[str, int], interval: str) -> dict[str, Any]:
    kinds = {"line": _line, "number": _number, "state": _state, "table": _table}
    kind, custom, options = kinds[panel.kind](panel)
    defaults: dict[str, Any] = {
        "unit": UNITS.get(panel.unit, f"suffix: {panel.unit}"),
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        "color": {"mode": "palette-classic" if panel.kind == "line" else "thresholds"},
        "custom": custom,
    }
    if panel.kind == "state":
        defaults["mappings"] = [_words()]
    return {
        "id": number,
        "type": kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": dict(place),
        "datasource": SOURCE,
        "interval": interval,
        "targets": [_target(panel)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    } | ({"transformations": [_columns()]} if panel.kind == "table" else {})


def _target(panel: Panel) -> dict[str, Any]:
    at_once = panel.kind != "line"
    return {
        "refId": "A",
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": grafana_query(panel.expr, panel.unit),
        "legendFormat": _legend(panel),
        "instant": at_once,
        "range": not at_once,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def grafana_query(query: str, unit: str) -> str:
    """Given a neutral query and its unit, return it for Grafana: for the chosen machines, in Grafana's units."""
    query = with_rate_window(narrowed(query, SCOPE), "$__rate_interval")
    return f"({query}) * 1000" if unit == "time" else query  # Grafana counts time in milliseconds


def _legend(panel: Panel) -> str:
    return f"{{{{host}}}} {{{{{panel.legend}}}}}" if panel.legend else "__auto"


def _line(panel: Panel) -> tuple[str, dict[str, Any], dict[str, Any]]:
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 5,
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return "timeseries", custom, options


def _number(panel: Panel) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "stat", {}, _last() | {"colorMode": "value" if panel.thresholds else "none"}


def _state(_panel: Panel) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "stat", {}, _last() | {"colorMode": "background"}


def _table(_panel: Panel) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "table", {"align": "auto"}, {"showHeader": True, "cellHeight": "sm"}


def _last() -> dict[str, Any]:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }


def _words() -> dict[str, Any]:
    words = {"1": ("well", GREEN), "0": ("not well", RED)}
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return {"type": "value", "options": options}


def _steps(panel: Panel) -> list[dict[str, Any]]:
    """The first step holds from minus infinity; Grafana colours a value by the last step that it has reached."""
    if panel.kind == "state":
        return [{"color": RED, "value": None}, {"color": GREEN, "value": 1}]
    limits = panel.thresholds or Thresholds()
    steps = [(limits.warning, YELLOW), (limits.critical, RED)]
    if limits.worse == "above":
        return [{"color": GREEN, "value": None}] + [
            {"color": color, "value": value} for value, color in steps if value is not None
        ]
    # Below: each limit is where the next better colour begins.
    known = [(value, color) for value, color in reversed(steps) if value is not None]
    better = [color for _value, color in known[1:]] + [GREEN]
    return [{"color": known[0][1] if known else GREEN, "value": None}] + [
        {"color": color, "value": value} for (value, _color), color in zip(known, better, strict=False)
    ]


def _columns() -> dict[str, Any]:
    hidden = dict.fromkeys(("Time", "__name__", "instance", "alertstate"), True)
    return {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": {}}}


def _source_variable() -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "current": {"selected": True, "text": "Prometheus", "value": "prometheus"},
        "hide": 0,
        "options": [],
    }


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,  # when the time range changes: machines come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",  # also what has no such label, an alert for example
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
    }


def _link() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Dashboards",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
