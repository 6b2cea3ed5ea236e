"""The templates of modules: `${name}` stands for a value, `$$` for a dollar sign; there is nothing else.

A template is filled value by value and never parsed again: what a value holds cannot become a further place, a further
argument or a further setting. Whoever writes the result into a file does so by a serializer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from obstack.model.host import OptionValue

_PLACE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_.@+/-]*)\}|(\$)|)")
"""A place, an escaped dollar sign, or a dollar sign that means nothing."""

Values = Mapping[str, OptionValue]
"""What can stand in a place, by its name."""

BUILT_IN: Final = (
    "listen",
    "port",
    "web_config",
    "etc",
    "data",
    "textfile",
    "python",
    "host",
    "address",
)
"""The names that every module's templates know beside its options; see model/module.py for their meaning."""

PROGRAM: Final = "program."
FILE: Final = "file."


class Fault(NamedTuple):
    """What is wrong with a template: a dollar sign that stands alone, or a name that nothing has."""

    text: str
    unknown: str = ""


class MissingValue(LookupError):
    """A place of a template has no value: its option is optional and was not given."""


def names(template: str) -> tuple[str, ...]:
    """Given a template, return the names of its places, in order."""
    return tuple(match[1] for match in _PLACE.finditer(template) if match[1])


def faults(template: str, known: frozenset[str]) -> Iterator[Fault]:
    """Given a template and the names that have values, yield what is wrong with it."""
    for match in _PLACE.finditer(template):
        if match[1]:
            if match[1] not in known:
                yield Fault(match[0], match[1])
        elif not match[2]:
            yield Fault(template[match.start() : match.start() + 20])


def fill(template: str, values: Values) -> OptionValue:
    """Given a template and values, return it filled. A template that is one whole place keeps the type of its value.

    Raises MissingValue when a place has none.
    """
    whole = _PLACE.fullmatch(template)
    if whole is not None and whole[1]:
        return _value(whole[1], values)
    return fill_text(template, values)


def fill_text(template: str, values: Values) -> str:
    """Given a template and values, return the text. Lists become their items with commas between.

    Raises MissingValue when a place has none.
    """

    def put(match: re.Match[str]) -> str:
        return as_text(_value(match[1], values)) if match[1] else "$"

    return _PLACE.sub(put, template)


def fill_arguments(templates: tuple[str, ...], values: Values) -> tuple[str, ...]:
    """Given the templates of a command line, return its arguments: one for each template.

    An argument that names an optional option that was not given is left out.
    """
    return tuple(fill_text(template, values) for template in templates if has_values(template, values))


def fill_content(content: Any, values: Values) -> Any:
    """Given the content of a file, return it with every string filled.

    A setting or an item that names an optional option that was not given is left out.
    """
    if isinstance(content, str):
        filled = fill(content, values)
        return list(filled) if isinstance(filled, tuple) else filled
    if isinstance(content, Mapping):
        return {key: fill_content(value, values) for key, value in content.items() if _stays(value, values)}
    if isinstance(content, list | tuple):
        return [fill_content(item, values) for item in content if _stays(item, values)]
    return content


def has_values(template: str, values: Values) -> bool:
    """Given a template, return whether each of its places has a value."""
    return all(name in values for name in names(template))


def as_text(value: OptionValue) -> str:
    """Given a value, return how it is written in text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def strings(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Given the content of a file, yield each of its strings, which are templates, with the way to it."""
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from strings(value, (*path, key))
    elif isinstance(content, list | tuple):
        for index, item in enumerate(content):
            yield from strings(item, (*path, index))


def _stays(value: Any, values: Values) -> bool:
    return not isinstance(value, str) or has_values(value, values)


def _value(name: str, values: Values) -> OptionValue:
    try:
        return values[name]
    except KeyError:
        raise MissingValue(name) from None
