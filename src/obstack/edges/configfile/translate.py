"""From pydantic's errors to findings in plain words: what must be there, what is there instead, and what to write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic_core import ErrorDetails

from obstack.model.base import Section
from obstack.model.describe import Key, describe, join, key_at, places_of
from obstack.model.example import inline
from obstack.model.host import Host
from obstack.model.rules import Finding, Path
from obstack.model.scalars import MEANINGS
from obstack.model.site import Site
from obstack.model.words import SECRET_WORDS, nearest, show, spell

_SECRET_KEY: Final = re.compile(SECRET_WORDS, re.IGNORECASE)


class Translation(NamedTuple):
    """A finding, and whether its place is the key (else the value)."""

    finding: Finding
    at_key: bool


def translate_all(errors: list[ErrorDetails], root: type[Section] = Site) -> list[Translation]:
    """Given pydantic's errors about a root of the model, return those that say something, in plain words.

    A list whose items are all wrong counts as empty for pydantic; the items' own errors say it better.
    """
    paths = [tuple(error["loc"]) for error in errors]
    return [
        translate(error, root)
        for error, path in zip(errors, paths, strict=True)
        if error["type"] != "too_short"
        or not any(len(other) > len(path) and other[: len(path)] == path for other in paths)
    ]


def translate(error: ErrorDetails, root: type[Section] = Site) -> Translation:
    """Given one error of pydantic about a root of the model, return it in plain words."""
    path: Path = tuple(error["loc"])
    if path and path[-1] == "[key]":
        path = path[:-1]
        message, _ = _describe(error, None, str(path[-1]), root)
        return Translation(Finding(path, f"the key {message}", "Rename the key."), True)
    key = key_at(root, path)
    kind = error["type"]
    if kind == "missing":
        return Translation(_missing(path, key), True)
    if kind == "extra_forbidden":
        return Translation(_unknown(path, root), True)
    # A secret is never shown, and neither is its line: the key is on the line above when the value is.
    secret = (key is not None and key.secret) or _SECRET_KEY.search(spell(path)) is not None
    message, remedy = _describe(error, key, None if secret else error["input"], root)
    if not secret:
        message += f", but is {show(error['input'])}"
    elif len(path) > 1 and path[-2] == "options":
        remedy = f"Write a reference to the secret: {path[-1]}: secret:NAME"
    return Translation(Finding(path, message, remedy or _example(path, key)), secret)


def _missing(path: Path, key: Key | None) -> Finding:
    return Finding(path, "is required", f"Add it, for example: {_line(path, key)}")


def _unknown(path: Path, root: type[Section]) -> Finding:
    name = str(path[-1])
    parent = key_at(root, path[:-1]) if len(path) > 1 else None
    section = root if len(path) == 1 else parent.section if parent is not None else None
    known = [item.name for item in describe(section)] if section is not None else []
    hint = nearest(name, known)
    if not hint:
        elsewhere = list(places_of(Host, name) if root is Site and path[0] == "hosts" else places_of(root, name))
        hint = f"It belongs to {join(elsewhere)}. " if elsewhere else ""
    return Finding(path, "is not a known key", hint.rstrip() or f"Remove it. Known here: {', '.join(known)}.")


def _describe(error: ErrorDetails, key: Key | None, value: Any, root: type[Section]) -> tuple[str, str]:
    """Return what must be, and a remedy when the kind of error has a better one than an example."""
    context: Mapping[str, Any] = error.get("ctx", {})
    kind = error["type"]
    if kind == "string_pattern_mismatch":
        return f"must be {MEANINGS.get(str(context['pattern']), 'of another form')}", ""
    if kind == "value_error":
        return str(context["error"]), ""
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"must be {key.meaning}" if key else str(error["msg"]), ""
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", str(context["expected"])) or [str(context["expected"])]
        return f"must be {join(choices)}", _choose(value, choices)
    if kind in _LENGTHS:
        return _LENGTHS[kind].format(**context), ""
    if kind in ("int_type", "int_from_float"):
        return f"must be {key.meaning if key and key.kind == 'value' else 'a whole number'}", _unquote(error, value)
    if kind == "bool_type":
        return "must be true or false", "Write true or false, without quotes."
    if kind == "string_type":
        known = key is not None and key.kind == "value"
        return f"must be {key.meaning if key and known else 'text'}", _quote(error, value, root)
    if kind in ("model_type", "dict_type"):
        return "must be a mapping of keys and values", ""
    if kind == "tuple_type":
        return "must be a list", ""
    return f"is not accepted: {error['msg']}", ""


_LENGTHS: Final = {
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
}


def _choose(value: Any, choices: list[str]) -> str:
    return f"{nearest(value, choices) if isinstance(value, str) else ''}Write {join(choices)}."


def _unquote(error: ErrorDetails, value: Any) -> str:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return f"Remove the quotes: {error['loc'][-1]}: {value}"
    return ""


def _quote(error: ErrorDetails, value: Any, root: type[Section]) -> str:
    """Text that YAML took for a number or truth value wants quotes; where a unit is missing, the example says so."""
    key = key_at(root, tuple(error["loc"]))
    free = key is not None and ("text" in key.meaning.rpartition("each value is ")[2])
    if free and isinstance(value, bool | int | float):
        written = json.dumps(value)
        name = error["loc"][-1]
        return f'Put it in quotes: {f"{name}: " if isinstance(name, str) else ""}"{written}"'
    return ""


def _example(path: Path, key: Key | None) -> str:
    return f"Write for example: {_line(path, key)}" if key is not None else "Correct or remove it."


def _line(path: Path, key: Key | None) -> str:
    if key is None:
        return spell(path)
    example = key.example
    if path[-1] != key.name:  # an item of a list or mapping: show one item
        name = f"{path[-1]}: " if isinstance(path[-1], str) else "- "
        item = next(iter(example.values() if isinstance(example, dict) else example), None)
        return f"{name}{inline(item)}"
    return f"{key.name}: {inline(example)}"
