"""What each version of a component can do, so that rendering asks the version instead of hoping.

Every function takes a version as the lock file has it (Debian's or upstream's).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from obstack.catalog.versions import at_least, numbers

_SILENCES_UNREADABLE_BY_OTHERS: Final = {(0, 32, 0), (0, 32, 1), (0, 32, 2), (0, 33, 0)}


def prometheus_data_format(version: str) -> str:
    """Return the name of the format of Prometheus's data. 3.x promises only that 2.55 and later read what it wrote."""
    return "prometheus-tsdb-3" if at_least(version, "3.0") else "prometheus-tsdb-2"


def prometheus_readable_formats(version: str) -> tuple[str, ...]:
    """Return the formats of data that this version of Prometheus can go on with."""
    return ("prometheus-tsdb-2", "prometheus-tsdb-3") if at_least(version, "2.55") else ("prometheus-tsdb-2",)


def prometheus_needs_fallback_scrape_protocol(version: str) -> bool:
    """Return whether a target that sends no content type must be given a fallback protocol: 3.x, which refuses it."""
    return at_least(version, "3.0")


def prometheus_expands_external_labels(version: str) -> bool:
    """Return whether `$NAME` in an external label means a variable, so that a dollar sign must be doubled."""
    return at_least(version, "3.0")


def alertmanager_data_format(version: str) -> str:
    """Return the name of the format of Alertmanager's data.

    Four versions wrote silences that older ones cannot read.
    """
    if numbers(version)[:3] in _SILENCES_UNREADABLE_BY_OTHERS:
        return "alertmanager-2"
    return "alertmanager-1"


def alertmanager_readable_formats(version: str) -> tuple[str, ...]:
    """Return the formats of data that this version of Alertmanager can go on with."""
    return ("alertmanager-1", "alertmanager-2") if at_least(version, "0.32") else ("alertmanager-1",)


def grafana_data_format(version: str) -> str:
    """Return the name of the format of Grafana's database: each minor version changes it, and none goes back."""
    major, minor = numbers(version)[:2]
    return f"grafana-{major}.{minor}"


def grafana_readable_formats(version: str, known: Iterable[str]) -> tuple[str, ...]:
    """Given a version and all that are known, return the formats that it can go on with: its own and all older ones."""
    older = {grafana_data_format(other) for other in known if numbers(other)[:2] <= numbers(version)[:2]}
    return tuple(sorted(older | {grafana_data_format(version)}))


def grafana_keeps_plugins_apart(version: str) -> bool:
    """Return whether the data sources are programs of their own, which need a folder that they may be changed in."""
    return at_least(version, "13.0")


def nginx_http2_directive(version: str) -> bool:
    """Return whether `http2 on;` is known; before, HTTP/2 is a parameter of `listen`, which is deprecated since."""
    return at_least(version, "1.25.1")
