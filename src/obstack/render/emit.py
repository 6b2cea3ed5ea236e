"""The serializers: YAML, JSON, settings, nginx directives, systemd units, supervisor sections. Data meets no template.

Each takes plain values and either writes them so that the reader gets exactly the same values back, or refuses them.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from obstack.errors import UsageError

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_PLAIN_YAML: Final = re.compile(r"^([A-Za-z_][A-Za-z0-9_/.-]*|\d+(ms|[smhdwy]))$")
# The Go daemons read YAML 1.1, in which these plain words are not text.
_YAML_WORDS: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
_PLAIN_NGINX: Final = re.compile(r"^[A-Za-z0-9_./:=,*?@+~^-]+$")
_SETTING: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$")
_VARIABLE: Final = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_PLAIN_SETTING: Final = re.compile(r"^[A-Za-z0-9_./:@%+=,?&*~()-]+$")
_SAFE_PROGRAM: Final = re.compile(r"^/[A-Za-z0-9_./+,@:=-]+$")


def refuse(what: str, value: str) -> UsageError:
    """Given what cannot be written and its value, return the error that says so."""
    return UsageError(
        code="value-not-writable",
        what=f"A value cannot be written into {what}: {value!r}.",
        where=what,
        do="choose a value without control characters, quotes and dollar signs",
        state="nothing was touched",
    )


def _printable(what: str, value: str) -> str:
    if _CONTROL.search(value):
        raise refuse(what, value)
    return value


# ------------------------------------------------------------------------------------------------ YAML and JSON


class _Representer(SafeRepresenter):
    """Writes text plainly only where no YAML reader, old or new, could take it for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's form
        """Write every value where it stands: people read these files, and anchors do not help them."""
        return True

    def represent_text(self, data: str) -> ScalarNode:
        """Return the node of a text: plain, or in double quotes."""
        plain = _PLAIN_YAML.fullmatch(data) and data.lower() not in _YAML_WORDS
        node: ScalarNode = self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')
        return node


_Representer.add_representer(str, _Representer.represent_text)


class _Plain:
    """Plain data that is known by its content: equal data of equal types, with keys in the same order, is the same."""

    __slots__ = ("_content", "data")

    def __init__(self, data: Any) -> None:
        self.data = data
        self._content = _content(data)

    def __hash__(self) -> int:
        return hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Plain) and self._content == other._content


def _content(data: Any) -> tuple[Any, ...]:
    if isinstance(data, Mapping):
        return (Mapping, *((_content(key), _content(value)) for key, value in data.items()))
    if isinstance(data, list | tuple):
        return (type(data), *map(_content, data))
    return (type(data), data)


def yaml_bytes(data: Any) -> bytes:
    """Given plain data, return it as YAML; keys keep their order.

    Many hosts are given the same files, and writing YAML is what rendering takes longest for: it is done once for all.
    """
    return _yaml_bytes(_Plain(data))


@lru_cache(maxsize=256)
def _yaml_bytes(plain: _Plain) -> bytes:
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 1_000_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment] # declared as None only
    stream = io.BytesIO()
    yaml.dump(plain.data, stream)
    return stream.getvalue()


def json_bytes(data: Any) -> bytes:
    """Given plain data, return it as indented JSON; keys keep their order."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def json_rows(rows: Sequence[Any]) -> bytes:
    """Given rows of plain data, return them as a JSON list with a line for each."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    return f"[\n{lines}\n]\n".encode()


# --------------------------------------------------------------------------------------- settings and plain text


def ini_bytes(sections: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Given sections of settings, return the file. Raises UsageError for what its readers could take otherwise."""
    blocks = []
    for section, settings in sections.items():
        lines = "".join(
            f"{_setting_name('an ini file', name)}={_ini_value(value)}\n" for name, value in settings.items()
        )
        blocks.append(f"[{_setting_name('an ini file', section)}]\n{lines}")
    return "\n".join(blocks).encode()


def go_ini_bytes(sections: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Given sections of settings, return the file as Grafana's reader (go-ini) takes it.

    Values that are not plain stand between three quotes, where nothing is a comment. A dollar sign begins a variable
    there, so only an Expression may have one. Raises UsageError for what cannot be written.
    """
    blocks = []
    for section, settings in sections.items():
        lines = "".join(
            f"{_setting_name('an ini file', name)} = {_go_ini_value(value)}\n" for name, value in settings.items()
        )
        blocks.append(f"[{_setting_name('an ini file', section)}]\n{lines}")
    return "\n".join(blocks).encode()


def environment_bytes(variables: Mapping[str, Any]) -> bytes:
    """Given variables, return the file that systemd reads for EnvironmentFile=. Raises UsageError for bad names."""
    lines = []
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise refuse("an environment file, as a name", name)
        text = _printable("an environment file", scalar_text(value))
        if not _PLAIN_SETTING.fullmatch(text):
            text = '"' + re.sub(r'([\\"`$])', r"\\\1", text) + '"'
        lines.append(f"{name}={text}\n")
    return "".join(lines).encode()


def text_bytes(lines: Sequence[str]) -> bytes:
    """Given lines, return the file; none of them can become two."""
    return "".join(f"{_printable('a text file', line)}\n" for line in lines).encode()


def scalar_text(value: Any) -> str:
    """Given a plain value, return its text: `true` and `false` in lower case, lists with commas between their items."""
    if isinstance(value, list | tuple):
        return ",".join(scalar_text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _setting_name(what: str, name: str) -> str:
    if not _SETTING.fullmatch(name):
        raise refuse(f"{what}, as a name", name)
    return name


def _ini_value(value: Any) -> str:
    text = _printable("an ini file", scalar_text(value))
    if _PLAIN_SETTING.fullmatch(text):
        return text
    # Readers differ in how they undo escapes, so what would need one is not written at all.
    if '"' in text or "\\" in text:
        raise refuse("an ini file", text)
    return f'"{text}"'


def _go_ini_value(value: Any) -> str:
    meant = isinstance(value, Expression)
    text = _printable("an ini file", value.text if isinstance(value, Expression) else scalar_text(value))
    if _PLAIN_SETTING.fullmatch(text) and "%(" not in text:
        return text
    if '"' in text or "\\" in text or "%(" in text or ("$" in text and not meant):
        raise refuse("an ini file", text)
    return f'"""{text}"""'


# -------------------------------------------------------------------------------------------------------- nginx


@dataclass(frozen=True)
class Expression:
    """An nginx value in which `$variables` are meant. It is written by this program, never taken from configuration."""

    text: str


@dataclass(frozen=True)
class Directive:
    """One nginx directive; with `block` it opens a block."""

    name: str | Expression
    arguments: tuple[str | Expression, ...] = ()
    block: tuple[Directive, ...] | None = None


def directive(
    name: str | Expression, *arguments: str | Expression, block: Sequence[Directive] | None = None
) -> Directive:
    """Given a name, its arguments and what its block holds, return the directive."""
    return Directive(name, arguments, None if block is None else tuple(block))


def nginx_bytes(directives: Sequence[Directive]) -> bytes:
    """Given directives, return the file.

    Raises UsageError for a control character, and for a dollar sign outside an Expression: nginx cannot escape it.
    """
    return "".join(_nginx_lines(directives, 0)).encode()


def _nginx_lines(directives: Sequence[Directive], depth: int) -> list[str]:
    lines: list[str] = []
    indent = "    " * depth
    for item in directives:
        words = " ".join((nginx_word(item.name), *(nginx_word(argument) for argument in item.arguments)))
        if item.block is None:
            lines.append(f"{indent}{words};\n")
        else:
            lines += [f"{indent}{words} {{\n", *_nginx_lines(item.block, depth + 1), f"{indent}}}\n"]
    return lines


def nginx_word(argument: str | Expression) -> str:
    """Given a word, return it as nginx reads it back: also for where the name of a directive stands, as in a map.

    Raises UsageError as nginx_bytes.
    """
    text = argument.text if isinstance(argument, Expression) else argument
    _printable("an nginx file", text)
    if isinstance(argument, str) and "$" in text:
        raise refuse("an nginx file", text)
    if _PLAIN_NGINX.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# ------------------------------------------------------------------------------------------------------ systemd


def unit_text(value: str) -> str:
    """Given one line of text, return it for a unit file: no specifier, no continuation, no control character."""
    if value.endswith("\\"):
        raise refuse("a unit file", value)
    return _printable("a unit file", value).replace("%", "%%")


def unit_quoted(value: str) -> str:
    """Given a word, return it quoted for a list setting of a unit file, such as Environment= or ReadWritePaths=."""
    text = _printable("a unit file", value).replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_./:=,+@%^~-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unit_command(argv: Sequence[str]) -> str:
    """Given an argument vector, return it for ExecStart=: quoted, without variables and specifiers.

    Raises UsageError when the program's path is not absolute and plain, for systemd gives prefixes a meaning.
    """
    if not _SAFE_PROGRAM.fullmatch(argv[0]):
        raise refuse("a unit file, as a program's path", argv[0])
    return " ".join((argv[0], *(unit_quoted(word).replace("$", "$$") for word in argv[1:])))


def unit_bind(source: str, target: str) -> str:
    """Given two paths, return them as one element of BindReadOnlyPaths=."""
    pair = ":".join(path.replace("\\", "\\\\").replace(":", "\\:") for path in (source, target))
    return unit_quoted(pair)


def unit_bytes(sections: Mapping[str, Sequence[tuple[str, str]]]) -> bytes:
    """Given sections of settings whose values are already escaped, return the unit file."""
    blocks = []
    for section, settings in sections.items():
        lines = "".join(f"{key}={_printable('a unit file', value)}\n" for key, value in settings)
        blocks.append(f"[{section}]\n{lines}")
    return "\n".join(blocks).encode()


# --------------------------------------------------------------------------------------------------- supervisor


def program_command(argv: Sequence[str]) -> str:
    """Given an argument vector, return it for `command=`.

    Supervisor first cuts inline comments (a blank before `;` or `#`), then expands `%`, then splits like a shell.
    """
    quoted = " ".join(shlex.quote(word) for word in argv)
    # Closing and reopening the quotes changes nothing for the splitter and puts no blank before the comment sign.
    return re.sub(r"(\s)([;#])", r"\1''\2", _printable("a supervisor file", quoted)).replace("%", "%%")


def program_environment(environment: Mapping[str, str]) -> str:
    """Given variables, return them for `environment=`. Raises UsageError for quotes, which it cannot escape."""
    for value in environment.values():
        if '"' in value or "'" in value or "\\" in value:
            raise refuse("a supervisor file, as a variable", value)
    pairs = ",".join(f'{key}="{value}"' for key, value in environment.items())
    return program_text(pairs)


def program_text(value: str) -> str:
    """Given one line of text, return it for a supervisor file. Raises UsageError when it would be cut as a comment."""
    if re.search(r"(^|\s)[;#]", value):
        raise refuse("a supervisor file", value)
    return _printable("a supervisor file", value).replace("%", "%%")


def section_bytes(name: str, settings: Sequence[tuple[str, str]]) -> bytes:
    """Given a section's name and settings whose values are already escaped, return the file."""
    lines = "".join(f"{key}={_printable('a supervisor file', value)}\n" for key, value in settings)
    return f"[{name}]\n{lines}".encode()
