"""From the text of one YAML file to a tree of values that know their place.

Only what configuration needs is accepted: mappings with text keys, lists, and plain values. Tags, anchors, aliases,
merge keys, duplicate keys and several documents are refused. Dates and the like stay the text that was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from obstack.errors import WHOLE_FILE, Problem
from obstack.model.loaded import Mark, Origin, Sources
from obstack.model.rules import Finding, Path
from obstack.model.scalars import hidden

LARGEST_FILE_BYTES: Final = 256 * 1024
DEEPEST: Final = 16

_CORE: Final = "tag:yaml.org,2002:"
_PLAIN: Final = frozenset(_CORE + name for name in ("str", "null", "bool", "int", "float", "timestamp", "value"))
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")


@dataclass(frozen=True)
class Scalar:
    """A single value. `written` is whether anything stands there: `key:` alone is not written."""

    value: str | int | float | bool | None
    place: Origin
    written: bool


@dataclass(frozen=True)
class Sequence:
    """A list."""

    items: tuple[Tree, ...]
    place: Origin


@dataclass(frozen=True)
class Mapping:
    """A mapping; each key with its place."""

    entries: dict[str, tuple[Origin, Tree]]
    place: Origin


Tree = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Document:
    """One file: its tree (None when it could not be read as a mapping), lines and problems.

    With problems of single keys there is a tree all the same, so that the rest of the file can be judged too.
    """

    file: str
    tree: Mapping | None
    lines: tuple[str, ...]
    problems: tuple[Problem, ...]


def parse(file: str, content: bytes, example: str = "domain: observability.example.org") -> Document:
    """Given a file's name and bytes, return its tree, or the problems that prevent one.

    `example` is a line that such a file may hold, for the remedy when it holds something else.
    """
    if len(content) > LARGEST_FILE_BYTES:
        message = f"is {len(content)} bytes long; a configuration file has at most {LARGEST_FILE_BYTES}"
        return _refused(
            file, (), Origin(file), message, "Is this the right file? Split it by environment, or shorten it."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"is not UTF-8: the byte 0x{content[error.start]:02x} cannot be read"
        return _refused(
            file, (), Origin(file, line, column), message, f"iconv -f LATIN1 -t UTF-8 {file}    shows it converted"
        )
    for number, row in enumerate(text.split("\n"), 1):
        found = "" if row.isascii() else hidden(row.removesuffix("\r"))
        if found:
            place = Origin(file, number, row.index(found) + 1)
            message = f"holds the invisible character U+{ord(found):04X}, by which text may read other than it is"
            lines = tuple(text.splitlines())
            return _refused(file, lines, place, message, "Remove it, or write it as an escape in double quotes.")
    return read_yaml(file, text, example)


def read_yaml(file: str, text: str, example: str = "key: value") -> Document:
    """Given a file's name and text, return its tree, or the problems that prevent one."""
    return _Reader(file, text, example).document()


def _refused(file: str, lines: tuple[str, ...], place: Origin, message: str, remedy: str) -> Document:
    excerpt = Sources((file,), {file: lines}, {}).excerpt(place)
    problem = Problem(file, place.line, place.column, WHOLE_FILE, message, remedy, excerpt)
    return Document(file, None, lines, (problem,))


class _Reader:
    """Reads one file; collects its problems."""

    def __init__(self, file: str, text: str, example: str) -> None:
        self.file = file
        self.example = example
        self.text = text
        self.lines = tuple(text.splitlines())
        self.problems: list[Problem] = []

    def document(self) -> Document:
        """Return the tree or the problems."""
        try:
            node = YAML(typ="safe", pure=True).compose(self.text)
        except MarkedYAMLError as error:
            return self._syntax(error)
        except YAMLError as error:
            position = getattr(error, "position", 0)
            before = self.text[:position]
            place = Origin(self.file, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
            return self._refuse(place, "holds a control character that YAML forbids", "Remove the invisible character.")
        except RecursionError:
            return self._refuse(
                Origin(self.file), "is nested too deeply", "Configuration needs few levels; flatten it."
            )
        except ValueError as error:
            return self._refuse(Origin(self.file), f"cannot be read as YAML: {error}", "Correct the file.")
        if node is None:
            return Document(self.file, Mapping({}, Origin(self.file)), self.lines, ())
        tree = self._tree(node, ())
        if not isinstance(tree, Mapping):
            if not (isinstance(tree, Scalar) and not tree.written):
                kind = "a list" if isinstance(tree, Sequence) else "a single value"
                message = f"must be a mapping of keys and values at its top level, but is {kind}"
                self._report(tree.place, (), message, f"Write for example: {self.example}")
            tree = Mapping({}, Origin(self.file))
        unusable = any(problem.path == WHOLE_FILE for problem in self.problems)
        return Document(self.file, None if unusable else tree, self.lines, tuple(self.problems))

    def _refuse(self, place: Origin, message: str, remedy: str) -> Document:
        return _refused(self.file, self.lines, place, message, remedy)

    def _syntax(self, error: Any) -> Document:
        mark = error.problem_mark or error.context_mark
        if "expected ':'" in str(error.problem):
            mark = error.context_mark or mark  # the line without a colon, not the next one
        place = Origin(self.file, mark.line + 1, mark.column + 1) if mark is not None else Origin(self.file)
        tabbed = [number for number, line in enumerate(self.lines, 1) if re.match(r" *\t", line)]
        if "'\\t'" in str(error.problem) and tabbed:
            for number in tabbed:
                where = Origin(self.file, number, self.lines[number - 1].index("\t") + 1)
                self._report(where, (), "a tab is used for indentation", "Indent with spaces, two a level.")
            return Document(self.file, None, self.lines, tuple(self.problems))
        message, remedy = _explain(str(error.problem))
        begun = error.context_mark
        if message.endswith("closed") and begun is not None and begun.line + 1 != place.line:
            message += f" (it began on line {begun.line + 1})"
        return self._refuse(place, message, remedy)

    def _report(self, place: Origin, path: Path, message: str, remedy: str) -> None:
        sources = Sources((self.file,), {self.file: self.lines}, {path: Mark(place, place)})
        problem = sources.problem(Finding(path, message, remedy))
        self.problems.append(problem if path else _renamed(problem))

    def _place(self, node: Node) -> Origin:
        return Origin(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _tree(self, node: Node, path: Path) -> Tree:
        place = self._place(node)
        if node.anchor is not None:
            self._report(
                place,
                path,
                f"the anchor &{node.anchor} is not allowed",
                "Write the value out where it is needed, without & and *.",
            )
            return Scalar(None, place, True)
        if len(path) > DEEPEST:
            self._report(place, path[:3], "is nested too deeply", "Configuration needs few levels; flatten it.")
            return Scalar(None, place, True)
        if isinstance(node, MappingNode) and node.tag == f"{_CORE}map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == f"{_CORE}seq":
            return Sequence(tuple(self._tree(item, (*path, index)) for index, item in enumerate(node.value)), place)
        if isinstance(node, ScalarNode) and node.tag in _PLAIN:
            return self._scalar(node, path)
        tag = str(node.tag).replace(_CORE, "!!")
        self._report(place, path, f"the tag {tag} is not allowed", "Remove the tag; only plain values are read.")
        return Scalar(None, place, True)

    def _mapping(self, node: MappingNode, path: Path) -> Mapping:
        entries: dict[str, tuple[Origin, Tree]] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if str(key_node.tag) == f"{_CORE}merge":
                self._report(
                    place, path, "the merge key << is not allowed", "Write the keys out, or use an environment overlay."
                )
                continue
            if not isinstance(key_node, ScalarNode):
                self._report(place, path, "a key must be text, not a list or mapping", "Write a plain key.")
                continue
            if str(key_node.tag) != f"{_CORE}str" or not key_node.value:
                shown = key_node.value or "(empty)"
                self._report(place, path, f"the key {shown} is not text", "Put the key in quotes, or correct it.")
                continue
            if not self._readable(key_node, path):
                continue
            key = str(key_node.value)
            value = self._tree(value_node, (*path, key))
            if key in entries:
                first = entries[key][0]
                self._report(
                    place,
                    (*path, key),
                    f"is written twice; the first is on line {first.line}",
                    "Keep one and remove the other.",
                )
                continue
            if isinstance(value, Scalar) and not value.written:
                value = Scalar(None, place, False)  # an absent value stands where its key does
            entries[key] = (place, value)
        return Mapping(entries, self._place(node))

    def _scalar(self, node: ScalarNode, path: Path) -> Scalar:
        place = self._place(node)
        if not self._readable(node, path):
            return Scalar(None, place, True)
        written = bool(node.value) or node.style is not None
        return Scalar(_value(str(node.tag).removeprefix(_CORE), str(node.value)), place, written)

    def _readable(self, node: ScalarNode, path: Path) -> bool:
        """Refuse what is no character: an escape can name half of a pair."""
        try:
            str(node.value).encode("utf-8")
        except UnicodeEncodeError:
            self._report(self._place(node), path, "holds an escape that is no character", "Write the character itself.")
            return False
        return True


def _renamed(problem: Problem) -> Problem:
    return Problem(
        problem.file, problem.line, problem.column, WHOLE_FILE, problem.message, problem.remedy, problem.excerpt
    )


def _value(tag: str, text: str) -> str | int | float | bool | None:
    if tag == "null":
        return None
    if tag == "bool" and text.lower() in ("true", "false"):  # a %YAML 1.1 directive would make more words truth values
        return text.lower() == "true"
    if tag == "int" and _INTEGER.fullmatch(text):
        return int(text, 10 if text[:2] not in ("0x", "0o") else 0)
    if tag == "float":
        try:
            number = float(text)
        except ValueError:
            return text
        return number if number - number == 0 else text  # infinities and not-a-number stay text
    return text


_EXPLANATIONS: Final = (
    (
        "mapping values are not allowed here",
        "a colon stands where none may",
        "Check the indentation, or put the value in quotes.",
    ),
    ("while scanning a quoted", "a quote is not closed", "Close the quote."),
    ("unexpected end of stream", "a quote is not closed", "Close the quote."),
    ("another document", "holds several documents (---)", "Keep one document; overlays go to environments/NAME.yaml."),
    ("undefined alias", "aliases (*name) are not allowed", "Write the value out, or put it in quotes."),
    ("could not find expected ':'", "a key has no colon", "Write `key: value`, with a blank after the colon."),
    ("expected <block end>", "is indented differently from the lines before it", "Align it with its neighbours."),
    ("<stream end>", "a bracket is not closed", "Close the bracket."),
    ("cannot start any token", "a value begins with a character that YAML reserves", "Put the value in quotes."),
)


def _explain(problem: str) -> tuple[str, str]:
    for sign, message, remedy in _EXPLANATIONS:
        if sign in problem:
            return message, remedy
    return f"is not valid YAML: {problem}", "Correct the line; values with special characters go in quotes."
