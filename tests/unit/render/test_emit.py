"""Emitters: what is written is read back as exactly the same values, or it is refused."""

from __future__ import annotations

import configparser
import json
import shlex
from typing import Any

import pytest
from ruamel.yaml import YAML

from obstack.errors import UsageError
from obstack.render import emit
from obstack.render.emit import Expression, directive

NASTY = (
    "plain",
    "",
    " ",
    "yes",
    "No",
    "null",
    "~",
    "1e3",
    "0x10",
    "012",
    "12:30",
    "2026-11-24",
    "a: b",
    "- a",
    "a #b",
    "#a",
    "'",
    '"',
    "\\",
    "a\\",
    "%h",
    "$HOME",
    "${HOME}",
    "`id`",
    "$(id)",
    "a;b",
    "a ; b",
    "{{ .x }}",
    "*",
    "&a",
    "!tag",
    "ünïcödé",
    "x" * 300,
)
HOSTILE = ("a\nb", "a\rb", "a\x00b", "a\x1bb", "a\x7fb", "a\u2028b")


def read_yaml(content: bytes, version: tuple[int, int]) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(content.decode())


@pytest.mark.parametrize("text", (*NASTY, *HOSTILE))
@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
def test_yaml_gives_back_every_text_in_both_versions_of_the_language(text: str, version: tuple[int, int]) -> None:
    data = {"key": text, text or "empty": [text, 1, True, None, 1.5]}
    assert read_yaml(emit.yaml_bytes(data), version) == data


def test_yaml_keeps_order_and_writes_no_anchors() -> None:
    shared = ["a"]
    written = emit.yaml_bytes({"z": shared, "a": shared}).decode()
    assert written == "z:\n- a\na:\n- a\n"


@pytest.mark.parametrize("text", (*NASTY, *HOSTILE))
def test_json_gives_back_every_text(text: str) -> None:
    assert json.loads(emit.json_bytes({"key": text})) == {"key": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_oriented_emitter_takes_a_control_character(text: str) -> None:
    for write in (
        lambda: emit.nginx_bytes([directive("server_name", text)]),
        lambda: emit.nginx_bytes([directive("return", Expression(text))]),
        lambda: emit.unit_text(text),
        lambda: emit.unit_quoted(text),
        lambda: emit.unit_command(("/bin/true", text)),
        lambda: emit.unit_bytes({"Unit": [("Description", text)]}),
        lambda: emit.program_command(("/bin/true", text)),
        lambda: emit.program_text(text),
        lambda: emit.program_environment({"A": text}),
    ):
        with pytest.raises(UsageError):
            write()


def test_nginx_quotes_what_it_must_and_refuses_variables_in_data() -> None:
    written = emit.nginx_bytes([directive("add_header", "X-A", 'a "b" \\ {;}', block=[directive("deny", "all")])])
    assert written.decode() == 'add_header X-A "a \\"b\\" \\\\ {;}" {\n    deny all;\n}\n'
    assert emit.nginx_bytes([directive("return", "308", Expression("$request_uri"))]) == b'return 308 "$request_uri";\n'
    with pytest.raises(UsageError):
        emit.nginx_bytes([directive("server_name", "$host")])


def test_a_unit_knows_no_specifier_variable_or_continuation_from_data() -> None:
    assert emit.unit_command(("/bin/echo", "%h", "$A", 'a "b" \\', "")) == '/bin/echo %%h "$$A" "a \\"b\\" \\\\" ""'
    assert emit.unit_text("100 %") == "100 %%"
    with pytest.raises(UsageError):
        emit.unit_text("goes on \\")
    for program in ("relative", "-/bin/true", "/bin/a b", "/bin/%h"):
        with pytest.raises(UsageError):
            emit.unit_command((program,))


def test_a_bind_keeps_colons_in_paths_apart_from_its_own() -> None:
    assert emit.unit_bind("/a:b", "/c") == '"/a\\\\:b:/c"'


def supervisor_words(content: bytes) -> list[str]:
    """Read a command as supervisor does: cut comments, expand, split."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(content.decode())
    return shlex.split(parser.get("program:x", "command") % {})


@pytest.mark.parametrize("text", NASTY)
def test_supervisor_gives_back_every_word(text: str) -> None:
    argv = ["/bin/echo", text, f"a {text}", f"{text} ;b #c", "%(ENV_HOME)s"]
    command = emit.program_command(argv)
    assert supervisor_words(emit.section_bytes("program:x", [("command", command)])) == argv


def test_supervisor_text_that_would_be_cut_is_refused() -> None:
    for text in ("a ;b", "a #b", "#a"):
        with pytest.raises(UsageError):
            emit.program_text(text)
    for value in ('a"b', "a'b", "a\\b"):
        with pytest.raises(UsageError):
            emit.program_environment({"A": value})


def test_values_that_are_equal_in_python_only_are_written_as_what_they_are() -> None:
    written = [emit.yaml_bytes({"a": value}) for value in (1, True, 1.0, "1")]
    assert len(set(written)) == 4
    assert emit.yaml_bytes({"a": 1, "b": 2}) != emit.yaml_bytes({"b": 2, "a": 1})
    assert emit.yaml_bytes({"a": [1, 2]}) == emit.yaml_bytes({"a": [1, 2]})
