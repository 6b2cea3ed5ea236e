"""Times and patterns as people type them."""

import pytest

from obstack.errors import UsageError
from obstack.operations.logs import parse_moment, require_pattern
from obstack.operations.rollback import parse_timestamp


class AtNoon:
    def now(self) -> float:
        return 1_800_000_000.0


@pytest.mark.parametrize(
    "text",
    [
        "20261124T101500Z",
        "20261124T101500",
        "2026-11-24T10:15:00Z",
        "2026-11-24T10:15:00",
        "2026-11-24 10:15:00",
        "2026-11-24T11:15:00+01:00",
    ],
)
def test_one_moment_can_be_written_in_many_ways_and_is_utc_without_a_zone(text: str) -> None:
    assert parse_timestamp(text) == 1795515300.0


@pytest.mark.parametrize("text", ["", "yesterday", "20261124", "20261324T101500Z", "2026-11-24T25:00:00Z"])
def test_what_is_no_moment_is_bad_usage(text: str) -> None:
    if text == "20261124":
        assert parse_timestamp(text) == 1795478400.0  # a day is its beginning
        return
    with pytest.raises(UsageError) as caught:
        parse_timestamp(text)
    assert caught.value.exit_code == 2
    assert "rollback --list" in caught.value.do


@pytest.mark.parametrize(("text", "ago"), [("30s", 30), ("15m", 900), ("2h", 7200), ("3d", 259200), ("1w", 604800)])
def test_how_long_ago_counts_from_now(text: str, ago: int) -> None:
    assert parse_moment(text, AtNoon(), "--since") == 1_800_000_000 - ago


def test_since_may_be_a_moment_and_nothing_else() -> None:
    assert parse_moment("20261124T101500Z", AtNoon(), "--since") == 1795515300.0
    with pytest.raises(UsageError):
        parse_moment("soon", AtNoon(), "--until")


def test_a_pattern_that_is_none_is_bad_usage_and_shown_as_it_must_be_typed() -> None:
    require_pattern(None)
    require_pattern(" 50[0-9] ")
    with pytest.raises(UsageError) as caught:
        require_pattern("a[b c")
    assert caught.value.do.startswith(r"observability logs --grep 'a\[b\ c'")
