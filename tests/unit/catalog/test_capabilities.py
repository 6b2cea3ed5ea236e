"""Capabilities of the versions that are deployed: those of three Debian suites, and the pinned releases."""

from __future__ import annotations

import pytest

from obstack.catalog import capabilities as can

BOOKWORM, TRIXIE, SID, RELEASE = "2.42.0+ds-5+deb12u1", "2.53.3+ds1-2", "3.5.3+ds1-6", "3.13.4"


@pytest.mark.parametrize(
    ("version", "data", "readable", "fallback"),
    [
        (BOOKWORM, "prometheus-tsdb-2", {"prometheus-tsdb-2"}, False),
        (TRIXIE, "prometheus-tsdb-2", {"prometheus-tsdb-2"}, False),
        ("2.55.1", "prometheus-tsdb-2", {"prometheus-tsdb-2", "prometheus-tsdb-3"}, False),
        (SID, "prometheus-tsdb-3", {"prometheus-tsdb-2", "prometheus-tsdb-3"}, True),
        (RELEASE, "prometheus-tsdb-3", {"prometheus-tsdb-2", "prometheus-tsdb-3"}, True),
    ],
)
def test_prometheus(version: str, data: str, readable: set[str], fallback: bool) -> None:
    assert can.prometheus_data_format(version) == data
    assert set(can.prometheus_readable_formats(version)) == readable
    assert can.prometheus_needs_fallback_scrape_protocol(version) is fallback


@pytest.mark.parametrize(
    ("version", "data", "reads_new_silences"),
    [
        ("0.25.0-1+b4", "alertmanager-1", False),
        ("0.28.1+ds-1", "alertmanager-1", False),
        ("0.32.1", "alertmanager-2", True),
        ("0.33.0", "alertmanager-2", True),
        ("0.33.1-5", "alertmanager-1", True),
        ("0.34.1", "alertmanager-1", True),
    ],
)
def test_alertmanager(version: str, data: str, reads_new_silences: bool) -> None:
    assert can.alertmanager_data_format(version) == data
    readable = can.alertmanager_readable_formats(version)
    assert "alertmanager-1" in readable
    assert ("alertmanager-2" in readable) is reads_new_silences


@pytest.mark.parametrize(
    ("version", "directive"), [("1.22.1-9+deb12u11", False), ("1.26.3-3+deb13u11", True), ("1.30.6-2", True)]
)
def test_nginx(version: str, directive: bool) -> None:
    assert can.nginx_http2_directive(version) is directive
