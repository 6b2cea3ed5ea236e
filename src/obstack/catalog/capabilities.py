"""What each version of a component can do, so that rendering asks the version instead of hoping.

Every function takes a version as the lock file has it (Debian's or upstream's).
"""

from __future__ import annotations

from typing import Final

from obstack.catalog.versions import at_least, numbers

_SILENCES_UNREADABLE_BY_OTHERS: Final = {(0, 32, 0), (0, 32, 1), (0, 32, 2), (0, 33, 0)}


def prometheus_data_format(version: str) -> str:
    """Return the name of the format of Prometheus's data. 3.x promises only that 2.55 and later read what it wrote."""
    return "prometheus-tsdb-3" if at_least(version, "3.0") else "prometheus-tsdb-2"


def prometheus_reads(version: str, data_format: str) -> bool:
    """Return whether this Prometheus is promised to read data of the named format."""
    return data_format == "prometheus-tsdb-2" or at_least(version, "2.55")


def prometheus_resource_flags(version: str) -> tuple[str, ...]:
    """Return the feature flags that fit Go's threads and memory to the unit's limits; 3.x does so by itself."""
    if at_least(version, "3.0"):
        return ()
    return ("auto-gomaxprocs", "auto-gomemlimit") if at_least(version, "2.50") else ("auto-gomaxprocs",)


def prometheus_needs_fallback_scrape_protocol(version: str) -> bool:
    """Return whether a target that sends no content type must be given a fallback protocol: 3.x, which refuses it."""
    return at_least(version, "3.0")


def prometheus_validates_names_as_utf8(version: str) -> bool:
    """Return whether `metric_name_validation_scheme` exists, with UTF-8 as its default."""
    return at_least(version, "3.0")


def prometheus_keeps_firing(version: str) -> bool:
    """Return whether alerting rules know `keep_firing_for`."""
    return at_least(version, "2.42")


def prometheus_expands_external_labels(version: str) -> bool:
    """Return whether `$NAME` in an external label means a variable, so that a dollar sign must be doubled."""
    return at_least(version, "3.0")


def prometheus_retention_in_configuration(version: str) -> bool:
    """Return whether retention can stand in the configuration file, where a reload changes it."""
    return at_least(version, "3.11")


def prometheus_removed_console_flags(version: str) -> bool:
    """Return whether the console templates and their flags' default folders are gone from the distribution."""
    return at_least(version, "3.0")


def alertmanager_data_format(version: str) -> str:
    """Return the name of the format of Alertmanager's data.

    Four versions wrote silences that older ones cannot read.
    """
    if numbers(version)[:3] in _SILENCES_UNREADABLE_BY_OTHERS:
        return "alertmanager-2"
    return "alertmanager-1"


def alertmanager_parses_utf8_matchers(version: str) -> bool:
    """Return whether matchers are parsed by the UTF-8 grammar, in which every value should be quoted."""
    return at_least(version, "0.27")


def alertmanager_resource_flags(version: str) -> tuple[str, ...]:
    """Return the feature flags that fit Go's threads and memory to the unit's limits.

    0.33 ends at once when it is given `auto-gomaxprocs`, which it does by itself.
    """
    if at_least(version, "0.33"):
        return ("auto-gomemlimit",)
    return ("auto-gomaxprocs", "auto-gomemlimit") if at_least(version, "0.28") else ()


def nginx_http2_directive(version: str) -> bool:
    """Return whether `http2 on;` is known; before, HTTP/2 is a parameter of `listen`, which is deprecated since."""
    return at_least(version, "1.25.1")


def nginx_rejects_handshakes(version: str) -> bool:
    """Return whether `ssl_reject_handshake on;` is known."""
    return at_least(version, "1.19.4")
