"""Overlays: mappings merge key by key, everything else (lists too) replaces what was below it."""

from __future__ import annotations

from typing import Any

from obstack.edges.configfile.nodes import Mapping, Scalar, Sequence, Tree
from obstack.model.loaded import Mark, Origin
from obstack.model.rules import Path


def merge(base: Mapping, overlay: Mapping) -> Mapping:
    """Given two trees, return the first with the second laid over it.

    A key of the overlay without any value changes nothing; `null` written out replaces.
    """
    entries = dict(base.entries)
    for key, (place, value) in overlay.entries.items():
        below = entries.get(key)
        if below is not None and isinstance(below[1], Mapping):
            if isinstance(value, Mapping):
                entries[key] = (below[0], merge(below[1], value))
                continue
            if isinstance(value, Scalar) and not value.written:
                continue
        entries[key] = (place, value)
    return Mapping(entries, base.place)


def unfold(tree: Mapping) -> tuple[dict[str, Any], dict[Path, Mark]]:
    """Given a tree, return its plain values and the place of each of them."""
    marks: dict[Path, Mark] = {}
    values = _values(tree, tree.place, (), marks)
    marks.pop((), None)
    return values, marks


def _values(tree: Tree, key: Origin, path: Path, marks: dict[Path, Mark]) -> Any:
    marks[path] = Mark(key, tree.place)
    if isinstance(tree, Mapping):
        return {name: _values(value, place, (*path, name), marks) for name, (place, value) in tree.entries.items()}
    if isinstance(tree, Sequence):
        return [_values(item, item.place, (*path, index), marks) for index, item in enumerate(tree.items)]
    return tree.value
