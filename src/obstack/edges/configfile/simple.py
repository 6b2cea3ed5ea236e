"""Reads at once what most hosts' files are: block mappings of plain words, numbers and short lists.

A fleet has thousands of such files, and the whole of YAML costs a thousandth of a second for each. Whatever is not of
the simplest form, and whatever is wrong, is left to the real parser: here nothing is ever explained or refused, and
what is read must be exactly what that one would have read, with the same places (a property test compares them).
"""

from __future__ import annotations

import re
from typing import Final

from obstack.edges.configfile.nodes import Mapping, Scalar, Sequence, Tree
from obstack.model.loaded import Origin

_WORD: Final = r"[A-Za-z0-9_./][A-Za-z0-9_./@+-]*"
_LINE: Final = re.compile(
    rf"(?P<indent> *)(?:(?P<key>[A-Za-z_][A-Za-z0-9_.-]*):(?:(?P<gap> +)(?P<value>{_WORD}|\{{\}}|\[\]|"
    rf"\[{_WORD}(?:, {_WORD})*\]))?|- (?P<item>{_WORD}))? *(?:(?<![^ ])\#.*)?"
)
_ITEM: Final = re.compile(_WORD)
_TEXT: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?:[1-9][0-9]{0,8}[smhdwy])+")
_INTEGER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,8})\.[0-9]{1,9}")
_SPECIAL: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
DEEPEST: Final = 8


class _Another(Exception):
    """The file is not of the simplest form."""


class _Level:
    """A block that is being read: a mapping, or the list that its last key holds."""

    def __init__(self, indent: int, place: Origin) -> None:
        self.indent = indent
        self.place = place
        self.entries: dict[str, tuple[Origin, Tree]] = {}
        self.items: list[Tree] = []
        self.open: tuple[str, Origin] | None = None

    def close(self, value: Tree | None = None) -> None:
        """Give the key that waits for its value this one, or none."""
        if self.open is not None:
            key, place = self.open
            self.entries[key] = (place, value if value is not None else Scalar(None, place, False))
            self.open = None

    def tree(self) -> Tree:
        """Return what was read."""
        self.close()
        return Sequence(tuple(self.items), self.place) if self.items else Mapping(self.entries, self.place)


def parse_simple(file: str, text: str) -> Mapping | None:
    """Given a file's name and text, return its tree, or None when the file is not of the simplest form."""
    if not text.isascii() or "\r" in text or "\t" in text or "\f" in text or "\v" in text:
        return None
    levels: list[_Level] = []
    try:
        for number, line in enumerate(text.split("\n"), 1):
            _read_line(levels, file, number, line)
        while len(levels) > 1:
            _end_level(levels)
    except _Another:
        return None
    tree = levels[0].tree() if levels else None
    return tree if isinstance(tree, Mapping) else None


def _read_line(levels: list[_Level], file: str, number: int, line: str) -> None:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _Another
    key, item = match["key"], match["item"]
    if key is None and item is None:
        return
    indent = len(match["indent"])
    place = Origin(file, number, indent + 1)
    level = _level_for(levels, indent, place, is_item=item is not None)
    if item is not None:
        level.items.append(_scalar(item, Origin(file, number, match.start("item") + 1)))
        return
    level.close()
    if key in level.entries or level.items or key.lower() in _SPECIAL:
        raise _Another
    level.open = (key, place)
    if match["value"] is not None:
        level.close(_value(match["value"], file, number, match.start("value") + 1))


def _level_for(levels: list[_Level], indent: int, place: Origin, *, is_item: bool) -> _Level:
    """Return the block that a line belongs to: the one it goes on with, or one that it begins."""
    while levels and levels[-1].indent > indent:
        _end_level(levels)
    if levels and levels[-1].indent == indent and bool(levels[-1].items) == is_item:
        return levels[-1]
    if (levels and (levels[-1].open is None or levels[-1].indent == indent)) or len(levels) == DEEPEST:
        raise _Another
    if not levels and (indent or is_item):
        raise _Another
    levels.append(_Level(indent, place))
    return levels[-1]


def _end_level(levels: list[_Level]) -> None:
    ended = levels.pop()
    if not levels:
        raise _Another
    levels[-1].close(ended.tree())


def _value(text: str, file: str, number: int, column: int) -> Tree:
    place = Origin(file, number, column)
    if text == "{}":
        return Mapping({}, place)
    if text[0] == "[":
        found = _ITEM.finditer(text, 1)
        return Sequence(tuple(_scalar(one[0], Origin(file, number, column + one.start())) for one in found), place)
    return _scalar(text, place)


def _scalar(text: str, place: Origin) -> Scalar:
    """Return a plain value as YAML takes it; what may be read in two ways is left to the real parser."""
    if text in ("true", "false"):
        return Scalar(text == "true", place, True)
    if text.lower() in _SPECIAL:
        raise _Another
    if _TEXT.fullmatch(text):
        return Scalar(text, place, True)
    if _INTEGER.fullmatch(text):
        return Scalar(int(text), place, True)
    if _DECIMAL.fullmatch(text):
        return Scalar(float(text), place, True)
    raise _Another
