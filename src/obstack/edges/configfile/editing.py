"""Changes single keys in the text of a YAML file and leaves every other character as a person wrote it.

A writer that reads a file and emits it anew keeps most comments, but loses those beside what goes and puts new keys
below comments that belong to something else; so the text itself is changed here, at the places that the parser names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from obstack.edges.configfile.merge import unfold
from obstack.edges.configfile.nodes import parse
from obstack.errors import UsageError
from obstack.model.example import inline
from obstack.model.words import spell
from obstack.ports import KeyChange

STEP: Final = 2
"""How much deeper a new level stands than its parent."""

Entry = tuple[ScalarNode, Node]


def block(values: Mapping[str, Any], indent: int = 0) -> Iterator[str]:
    """Given values, yield the lines that write them: a mapping one key a line, everything else on its key's line."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{' ' * indent}{inline(key)}:"
            yield from block(value, indent + STEP)
        else:
            yield f"{' ' * indent}{inline(key)}: {inline(value)}"


def edited(file: str, text: str, changes: Sequence[KeyChange]) -> str:
    """Given the text of a file that can be read and changes of keys in it, return the text with the changes.

    What stood beside a key that goes, goes with it; a comment above it stays. Raises UsageError when the file is
    written in a way in which a key cannot be changed for sure.
    """
    wanted = _values(file, text)
    for change in changes:
        before, wanted = wanted, changed_values(wanted, change)
        if wanted != before:
            text = _Text(text).changed(change)
    if _values(file, text) != wanted:
        raise UsageError(
            code="file-not-editable",
            what=f"{file} is written in a way that no program can change for sure.",
            where=", ".join(spell(change.path) for change in changes),
            state="nothing was written",
            do=f"change it by hand in {file}, then run: observability config validate",
        )
    return text


def changed_values(values: Mapping[str, Any], change: KeyChange) -> dict[str, Any]:
    """Given plain values and a change, return the values that it leads to."""
    key, *rest = change.path
    result = dict(values)
    if rest:
        below = result.get(key)
        if change.gone and not isinstance(below, Mapping):
            return result
        deeper = KeyChange(tuple(rest), change.value, gone=change.gone)
        result[key] = changed_values(below if isinstance(below, Mapping) else {}, deeper)
    elif change.gone:
        result.pop(key, None)
    else:
        result[key] = _plain(change.value)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _values(file: str, text: str) -> dict[str, Any]:
    tree = parse(file, text.encode()).tree
    return unfold(tree)[0] if tree is not None else {}


class _Text:
    """A text, and the places of its keys."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.root = YAML(typ="safe", pure=True).compose(text)

    def changed(self, change: KeyChange) -> str:
        """Return the text with one change."""
        if not isinstance(self.root, MappingNode):  # nothing but comments
            return self.text if change.gone else self._appended(_nested(change.path, change.value))
        return self._changed_in(self.root, change)

    def _changed_in(self, node: MappingNode, change: KeyChange) -> str:
        key, *rest = change.path
        entry = _entry(node, key)
        if entry is None:
            return self.text if change.gone else self._with_entries(node, _nested(change.path, change.value))
        if not rest:
            return self._without(node, entry) if change.gone else self._with_value(node, entry, change.value)
        if isinstance(entry[1], MappingNode):
            return self._changed_in(entry[1], KeyChange(tuple(rest), change.value, gone=change.gone))
        return self.text if change.gone else self._with_value(node, entry, _nested(rest, change.value))

    def _appended(self, values: Mapping[str, Any]) -> str:
        return self._line_end(self.text) + self._lines(values, 0)

    def _line_end(self, text: str) -> str:
        return text + self.newline if text and not text.endswith("\n") else text

    def _lines(self, values: Mapping[str, Any], indent: int) -> str:
        return "".join(line + self.newline for line in block(values, indent))

    def _with_entries(self, node: MappingNode, values: Mapping[str, Any]) -> str:
        """Add keys to a mapping: below its last one, before whatever follows."""
        if node.flow_style:
            added = ", ".join(f"{inline(key)}: {inline(value)}" for key, value in values.items())
            if not node.value:
                return self._spliced(node.start_mark.index + 1, node.start_mark.index + 1, added)
            end = self._end(*node.value[-1])
            comma = re.match(r"\s*,", self.text[end:])
            at = end + comma.end() if comma else end
            return self._spliced(at, at, f"{'' if comma else ','} {added}")
        at = self._next_line(self._end(*node.value[-1]))
        indent = node.value[0][0].start_mark.column
        return self._line_end(self.text[:at]) + self._lines(values, indent) + self.text[at:]

    def _with_value(self, node: MappingNode, entry: Entry, value: Any) -> str:
        key, old = entry
        colon, end = self._colon(key), self._end(key, old)
        if isinstance(value, Mapping) and value and not node.flow_style and not _is_flow(old):
            rest = (
                self.text[end : self._next_line(end)]
                if end == colon or old.start_mark.line == key.start_mark.line
                else ""
            )
            below = self._lines(value, key.start_mark.column + STEP)
            at = self._next_line(end)
            return self.text[:colon] + (rest.rstrip("\r\n") + self.newline) + below + self.text[at:]
        if isinstance(old, ScalarNode) and old.style not in ("|", ">") and end > colon:
            return self._spliced(old.start_mark.index, end, inline(value))
        return self._spliced(colon, end, f" {inline(value)}")

    def _without(self, node: MappingNode, entry: Entry) -> str:
        entries: list[Entry] = node.value
        index = next(number for number, item in enumerate(entries) if item is entry)
        start, end = entries[index][0].start_mark.index, self._end(*entries[index])
        if node.flow_style:
            if index + 1 < len(entries):
                return self._spliced(start, entries[index + 1][0].start_mark.index, "")
            if index:
                return self._spliced(self._end(*entries[index - 1]), end, "")
            comma = re.match(r"\s*,", self.text[end:])
            return self._spliced(start, end + comma.end() if comma else end, "")
        start = self.text.rfind("\n", 0, start) + 1
        end = self._next_line(end)
        if len(entries) > 1 or node is self.root:
            return self._spliced(start, end, "")
        # An emptied mapping stays one: where its key is named, it must not become a key without a value.
        parent = self._owner(node)
        colon = self._colon(parent)
        return self.text[:colon] + " {}" + self.text[colon:start] + self.text[end:]

    def _owner(self, node: MappingNode) -> ScalarNode:
        """Return the key whose value a mapping is."""
        waiting: list[MappingNode] = [self.root]
        while waiting:
            for key, value in waiting.pop().value:
                if value is node:
                    found: ScalarNode = key
                    return found
                if isinstance(value, MappingNode):
                    waiting.append(value)
        raise ValueError("the mapping is not in this text")

    def _spliced(self, start: int, end: int, text: str) -> str:
        return self.text[:start] + text + self.text[end:]

    def _colon(self, key: ScalarNode) -> int:
        """Return the index after the colon of a key."""
        return self.text.index(":", key.end_mark.index) + 1

    def _end(self, key: ScalarNode, value: Node) -> int:
        """Return the index after the last character of an entry, without what follows it on its line."""
        if isinstance(value, ScalarNode):
            if not value.value and value.style is None:
                return self._colon(key)
            end = value.end_mark.index
            return len(self.text[:end].rstrip()) if value.style in ("|", ">") else end
        if _is_flow(value) or not value.value:
            return int(value.end_mark.index)
        last = value.value[-1]
        return self._end(*last) if isinstance(value, MappingNode) else self._end(key, last)

    def _next_line(self, index: int) -> int:
        """Return the index of the line after the one that an index is on."""
        found = self.text.find("\n", index)
        return found + 1 if found >= 0 else len(self.text)


def _entry(node: MappingNode, key: str) -> Entry | None:
    return next((entry for entry in node.value if str(entry[0].value) == key), None)


def _is_flow(node: Node) -> bool:
    return bool(getattr(node, "flow_style", False))


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {first: _nested(rest, value) if rest else value}
