"""Capabilities of the versions that are deployed: those of three Debian suites, and the pinned releases."""

from __future__ import annotations

import pytest

from obstack.catalog import capabilities as can

BOOKWORM, TRIXIE, SID, RELEASE = "2.42.0+ds-5+deb12u1", "2.53.3+ds1-2", "3.5.3+ds1-6", "3.13.4"


@pytest.mark.parametrize(
    ("version", "data", "fallback"),
    [
        (BOOKWORM, "prometheus-tsdb-2", False),
        (TRIXIE, "prometheus-tsdb-2", False),
        (SID, "prometheus-tsdb-3", True),
        (RELEASE, "prometheus-tsdb-3", True),
    ],
)
def test_prometheus(version: str, data: str, fallback: bool) -> None:
    assert can.prometheus_data_format(version) == data
    assert can.prometheus_needs_fallback_scrape_protocol(version) is fallback


@pytest.mark.parametrize(
    ("version", "data"),
    [
        ("0.25.0-1+b4", "alertmanager-1"),
        ("0.28.1+ds-1", "alertmanager-1"),
        ("0.32.1", "alertmanager-2"),
        ("0.33.0", "alertmanager-2"),
        ("0.33.1-5", "alertmanager-1"),
        ("0.34.1", "alertmanager-1"),
    ],
)
def test_alertmanager(version: str, data: str) -> None:
    assert can.alertmanager_data_format(version) == data


@pytest.mark.parametrize(
    ("version", "directive"), [("1.22.1-9+deb12u11", False), ("1.26.3-3+deb13u11", True), ("1.30.6-2", True)]
)
def test_nginx(version: str, directive: bool) -> None:
    assert can.nginx_http2_directive(version) is directive
