"""The one line of a checker's output that is shown where only one fits."""

from __future__ import annotations

import pytest

from obstack.agent.checks import CheckFailure


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("Checking etc/a.yml\n  FAILED: parsing: bad URL\n\n", "FAILED: parsing: bad URL"),
        ("[emerg] unknown directive\nnginx: configuration file test failed\n", "[emerg] unknown directive"),
        ("\n  it does not please me\nat all\n", "it does not please me"),
        ("\n", "no output"),
    ],
)
def test_it_is_the_first_that_speaks_of_a_failure(output: str, line: str) -> None:
    assert CheckFailure("a", (), 1, output).first_complaint == line
