"""Versions are compared as dpkg compares them, and capabilities by their upstream part."""

from __future__ import annotations

import pytest

from obstack.catalog.versions import at_least, compare_debian, debian_key, matches, numbers, upstream


@pytest.mark.parametrize(
    ("version", "part"),
    [
        ("2.42.0+ds-5+deb12u1", "2.42.0"),
        ("2.53.3+ds1-2", "2.53.3"),
        ("1:3.5.3+ds1-6", "3.5.3"),
        ("0.25.0-1+b4", "0.25.0"),
        ("1.22.1-9+deb12u11", "1.22.1"),
        ("257.13-1~deb13u1", "257.13"),
        ("3.13.4", "3.13.4"),
        ("3.0.0~rc1+ds-1", "3.0.0~rc1"),
    ],
)
def test_the_upstream_part_is_what_the_project_calls_it(version: str, part: str) -> None:
    assert upstream(version) == part


def test_numbers_of_what_is_no_version_are_refused() -> None:
    assert numbers("257.13-1~deb13u1") == (257, 13)
    with pytest.raises(ValueError, match="is not a version"):
        numbers("newest")


@pytest.mark.parametrize(
    ("version", "wanted", "has"),
    [
        ("1.25.1-1", "1.25.1", True),
        ("1.25-1", "1.25.0", True),
        ("1.22.1-9+deb12u11", "1.25.1", False),
        ("1.100.0", "1.25.1", True),
        ("3", "3.0", True),
        ("2.55.1", "3.0", False),
    ],
)
def test_a_version_has_what_came_with_it_or_before(version: str, wanted: str, has: bool) -> None:
    assert at_least(version, wanted) is has


def test_a_wanted_version_may_be_the_whole_or_the_upstream_part() -> None:
    assert matches("2.53.3+ds1-2", "2.53.3")
    assert matches("2.53.3+ds1-2", "2.53.3+ds1-2")
    assert not matches("2.53.3+ds1-2", "2.53")


ASCENDING = [
    "1.0~~", "1.0~rc1", "1.0", "1.0-0.1", "1.0-1~bpo1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u2", "1.0-1+deb12u11",
    "1.0a", "1.0+ds-1", "1.0.1-1", "1.9", "1.10", "1:0.1",
]  # fmt: skip


@pytest.mark.parametrize("lower", range(len(ASCENDING)))
def test_versions_are_ordered_as_the_policy_says(lower: int) -> None:
    for higher in range(lower + 1, len(ASCENDING)):
        assert compare_debian(ASCENDING[lower], ASCENDING[higher]) < 0, (ASCENDING[lower], ASCENDING[higher])
        assert compare_debian(ASCENDING[higher], ASCENDING[lower]) > 0
    assert compare_debian(ASCENDING[lower], ASCENDING[lower]) == 0


def test_equal_versions_are_equal_however_they_are_written() -> None:
    assert compare_debian("0:1.0-0", "1.0") == 0
    assert compare_debian("1.01", "1.1") == 0


def test_the_newest_is_found_by_the_key() -> None:
    assert max(["1.22.1-9+deb12u9", "1.22.1-9+deb12u11", "1.22.1-9"], key=debian_key) == "1.22.1-9+deb12u11"
