"""The types of options are strict."""

from __future__ import annotations

from typing import Any

import pytest

from obstack.catalog.modules.options import meaning, refusal
from obstack.model.module import Option


def option(**settings: Any) -> Option:
    return Option.model_validate({"description": "What it is.", **settings})


@pytest.mark.parametrize(
    ("settings", "good", "bad"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, [1, 5], [0, 6, 1.0, "1", True, (), None]),
        ({"type": "integer"}, [-1, 0], [1.5]),
        ({"type": "number", "minimum": 0, "maximum": 1}, [0, 0.5, 1], [-0.1, 1.1, "0.5", False]),
        ({"type": "boolean"}, [True, False], [0, 1, "true", "yes"]),
        ({"type": "string"}, ["", "a b", "ü"], ["a\nb", "\x00", 1, True, "x" * 1025]),
        ({"type": "string", "choices": ["tcp", "unix"]}, ["tcp"], ["udp", ""]),
        ({"type": "name"}, ["observability", "a_b-c"], ["", "A", "a b", "a;b", "-a", "a'"]),
        ({"type": "path"}, ["/run/x.sock", "/"], ["run", "/a/../b", "/a b", "/a\n", "/a;b"]),
        ({"type": "url"}, ["http://127.0.0.1/s?a=b", "tcp://127.0.0.1:9000"], ["x", "http://u:p@h/", 'http://h/"']),
        ({"type": "address"}, ["127.0.0.1:80", "[::1]:80", "h:1"], ["h", "h:0", "h:70000", "[::zz]:80", "a b:1"]),
        ({"type": "port"}, [1, 65535], [0, 65536, "80", True, 80.0]),
        ({"type": "port", "minimum": 1024}, [1024], [1023]),
        ({"type": "duration"}, ["15s", "1h30m"], ["", "0s", "5", 5, "1m1h"]),
        ({"type": "secret"}, ["secret:redis"], ["redis", "secret:", "secret:A"]),
        ({"type": "list"}, [(), ("a", "b")], ["a", ("a,b",), ("",), (1,), ("a\n",)]),
        ({"type": "list", "choices": ["a", "b"]}, [("b", "a")], [("c",)]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_type_takes_its_values_and_nothing_else(settings: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    described = option(**settings)
    assert [value for value in good if refusal(described, value) is not None] == []
    assert [value for value in bad if refusal(described, value) is None] == []


def test_a_refusal_says_what_must_be() -> None:
    assert refusal(option(type="number", minimum=0, maximum=1), 3) == "must be a number from 0 to 1"
    assert refusal(option(type="string", choices=["a", "b", "c"]), "d") == "must be a, b or c"
    assert meaning(option(type="list", choices=["a", "b"])) == "a list of a or b"
    assert meaning(option(type="integer", minimum=1)) == "a whole number, at least 1"
    assert meaning(option(type="number", maximum=2)) == "a number, at most 2"
