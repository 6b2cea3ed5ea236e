"""Templates of modules: places, dollar signs, values that stay where they are put."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.catalog.modules import template
from obstack.catalog.modules.template import Fault, MissingValue

VALUES: template.Values = {"port": 9113, "share": 0.8, "flag": True, "names": ("a", "b"), "word": "${port} $x \"';"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${port}", 9113),
        ("${share}", 0.8),
        ("${flag}", True),
        ("${names}", ("a", "b")),
        ("--port=${port}", "--port=9113"),
        ("${flag}${share}", "true0.8"),
        ("x ${names}", "x a,b"),
        ("a$$b", "a$b"),
        ("$$", "$"),
        ("$${port}", "${port}"),
        ("plain", "plain"),
    ],
)
def test_a_template_is_filled(text: str, filled: object) -> None:
    assert template.fill(text, VALUES) == filled


def test_a_value_is_never_filled_again() -> None:
    assert template.fill_text("<${word}>", VALUES) == "<${port} $x \"';>"


def test_an_argument_stays_one_argument() -> None:
    assert template.fill_arguments(("--a=${names}", "${word}"), VALUES) == ("--a=a,b", "${port} $x \"';")


def test_what_names_an_absent_option_is_left_out() -> None:
    assert template.fill_arguments(("run", "--site=${site}"), VALUES) == ("run",)
    assert template.fill_content({"a": "${site}", "b": ["${site}", "${port}", 1]}, VALUES) == {"b": [9113, 1]}
    with pytest.raises(MissingValue):
        template.fill("${site}", VALUES)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("${port} ${file.a-b/c.d}", [Fault("${file.a-b/c.d}", "file.a-b/c.d")]),
        ("${prot}", [Fault("${prot}", "prot")]),
        ("a $x", [Fault("$x")]),
        ("${", [Fault("${")]),
        ("${a b}", [Fault("${a b}")]),
        ("$$$", [Fault("$")]),
        ("$$ ${port}", []),
    ],
)
def test_every_fault_is_found(text: str, faults: list[Fault]) -> None:
    assert list(template.faults(text, frozenset(VALUES))) == faults


@given(st.text(), st.text())
def test_any_value_comes_out_as_it_went_in(before: str, value: str) -> None:
    escaped = before.replace("$", "$$")
    assert template.fill_text(f"{escaped}${{x}}{escaped}", {"x": value}) == f"{before}{value}{before}"
