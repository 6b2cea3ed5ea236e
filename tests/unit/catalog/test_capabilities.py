"""Capabilities of the versions that are deployed: those of three Debian suites, and the pinned releases."""

from __future__ import annotations

import pytest

from obstack.catalog import capabilities as can

BOOKWORM, TRIXIE, SID, RELEASE = "2.42.0+ds-5+deb12u1", "2.53.3+ds1-2", "3.5.3+ds1-6", "3.13.4"


@pytest.mark.parametrize(
    ("version", "data", "flags", "fallback", "retention"),
    [
        (BOOKWORM, "prometheus-tsdb-2", ("auto-gomaxprocs",), False, False),
        (TRIXIE, "prometheus-tsdb-2", ("auto-gomaxprocs", "auto-gomemlimit"), False, False),
        (SID, "prometheus-tsdb-3", (), True, False),
        (RELEASE, "prometheus-tsdb-3", (), True, True),
    ],
)
def test_prometheus(version: str, data: str, flags: tuple[str, ...], fallback: bool, retention: bool) -> None:
    assert can.prometheus_data_format(version) == data
    assert can.prometheus_resource_flags(version) == flags
    assert can.prometheus_needs_fallback_scrape_protocol(version) is fallback
    assert can.prometheus_validates_names_as_utf8(version) is fallback
    assert can.prometheus_removed_console_flags(version) is fallback
    assert can.prometheus_retention_in_configuration(version) is retention
    assert can.prometheus_keeps_firing(version)


def test_only_the_stepping_stone_reads_the_data_of_both_majors() -> None:
    assert can.prometheus_reads(TRIXIE, "prometheus-tsdb-2")
    assert not can.prometheus_reads(TRIXIE, "prometheus-tsdb-3")
    assert can.prometheus_reads("2.55.1", "prometheus-tsdb-3")
    assert can.prometheus_reads(SID, "prometheus-tsdb-2")
    assert can.prometheus_reads(SID, "prometheus-tsdb-3")


@pytest.mark.parametrize(
    ("version", "data", "utf8", "flags"),
    [
        ("0.25.0-1+b4", "alertmanager-1", False, ()),
        ("0.28.1+ds-1", "alertmanager-1", True, ("auto-gomaxprocs", "auto-gomemlimit")),
        ("0.32.1", "alertmanager-2", True, ("auto-gomaxprocs", "auto-gomemlimit")),
        ("0.33.0", "alertmanager-2", True, ("auto-gomemlimit",)),
        ("0.33.1-5", "alertmanager-1", True, ("auto-gomemlimit",)),
        ("0.34.1", "alertmanager-1", True, ("auto-gomemlimit",)),
    ],
)
def test_alertmanager(version: str, data: str, utf8: bool, flags: tuple[str, ...]) -> None:
    assert can.alertmanager_data_format(version) == data
    assert can.alertmanager_parses_utf8_matchers(version) is utf8
    assert can.alertmanager_resource_flags(version) == flags


@pytest.mark.parametrize(
    ("version", "directive"), [("1.22.1-9+deb12u11", False), ("1.26.3-3+deb13u11", True), ("1.30.6-2", True)]
)
def test_nginx(version: str, directive: bool) -> None:
    assert can.nginx_http2_directive(version) is directive
    assert can.nginx_rejects_handshakes(version)
