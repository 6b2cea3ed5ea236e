import contextlib
import io
import json
import os
from collections.abc import Iterator

import pytest

from obstack.cli.output import error_lines, paint, print_error, print_json, sanitize, table
from obstack.errors import FAMILIES, ChangeFailed, ConfigurationError, Problem

ERROR = ChangeFailed(
    code="gate-failed",
    what="Prometheus did not become ready.",
    where="mon-1, prometheus.service",
    state="rolled back to generation 77d0e4aa",
    do="observability logs prometheus",
    detail="\n".join(f"line {number}" for number in range(30)) + "\n\x1b[31mred",
)


def test_an_error_has_the_form_of_the_command_contract() -> None:
    lines = error_lines(ERROR, stream=io.StringIO())
    assert lines[:3] == [
        "error[gate-failed] Prometheus did not become ready.",
        "  where: mon-1, prometheus.service",
        "  state: rolled back to generation 77d0e4aa",
    ]
    assert lines[-1] == "  do:    observability logs prometheus"


def test_only_the_end_of_a_long_detail_is_shown_and_it_cannot_move_the_cursor() -> None:
    lines = error_lines(ERROR, stream=io.StringIO())
    shown = [line for line in lines if line.startswith("  | ")]
    assert len(shown) == 20
    assert shown[-1] == "  | \\x1b[31mred"
    assert "  … 11 lines left out; --json shows all" in lines


def test_every_problem_of_a_configuration_is_shown_with_its_place_and_remedy() -> None:
    problems = [Problem("config/global.yaml", line, 5, "domain", "is wrong", "correct it", "  x: 1") for line in (3, 9)]
    lines = error_lines(ConfigurationError(problems, do="observability config validate"), stream=io.StringIO())
    assert [line for line in lines if "global.yaml:" in line] == [
        "  config/global.yaml:3:5: domain: is wrong",
        "  config/global.yaml:9:5: domain: is wrong",
    ]
    assert lines.count("    do: correct it") == 2
    assert lines[2:4] == ["    3 |   x: 1", "            ^"]


def test_with_json_the_error_is_whole_and_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ERROR, as_json=True)
    captured = capsys.readouterr()
    document = json.loads(captured.out)["error"]
    assert (captured.err, document["exit_code"], document["detail"]) == ("", 3, ERROR.detail)


def test_a_document_cannot_drive_a_terminal_either(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[2J \x9b31m \u202e ✓"
    print_json({"message": text})
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert "\x1b" not in shown
    assert json.loads(shown) == {"message": text}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(variables: dict[str, str], coloured: bool) -> None:
    with environment(variables):
        assert ("\x1b[31m" in paint("text", "red", stream=Terminal())) is coloured
        assert paint("text", "red", stream=io.StringIO()) == "text"
        assert paint("text", stream=Terminal()) == "text"


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.pop(name, None) for name in ("NO_COLOR", "TERM")}
    os.environ.update(variables)
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def test_the_exit_codes_are_those_of_the_command_contract() -> None:
    assert sorted(FAMILIES) == [1, 2, 3, 4, 5, 6, 70, 130]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\x202eb"),
        ("überwacht ✓", "überwacht ✓"),
        ("\r\x00", "\\x0d\\x00"),
    ],
)
def test_control_characters_become_visible(text: str, clean: str) -> None:
    assert sanitize(text) == clean


def test_a_table_aligns_its_columns_and_ends_without_blanks() -> None:
    rows = [("a", "long cell", "x"), ("bbb", "", "\x1b")]
    assert table(rows, header=("A", "B", "C")) == ["A    B          C", "a    long cell  x", "bbb             \\x1b"]


def test_a_narrow_terminal_breaks_the_last_column_between_words_below_itself() -> None:
    rows = [("ok", "one", "a marked line was written and found by a query"), ("ok", "two", "short")]
    assert table(rows, margin=2, width=40) == [
        "ok  one  a marked line was written and\n           found by a query",
        "ok  two  short",
    ]
    assert table(rows, margin=2, width=30) == [
        "ok  one\n      a marked line was\n      written and found by a\n      query",
        "ok  two  short",
    ]
