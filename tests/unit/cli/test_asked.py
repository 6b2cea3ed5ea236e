"""No command can be added without the canary test looking at what it prints."""

from machine.asked import ASKED, NOT_DONE
from obstack.cli.reference import commands


def test_every_command_is_called_by_the_canary_test() -> None:
    assert {path.removeprefix("observability ") for path, _ in commands()} == set(ASKED)
    assert set(ASKED) >= set(NOT_DONE)
