"""What the model says about itself: each key with its type in words, default, description and example.

Error messages, the commented example file and the reference are all made from this, so they cannot disagree.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from obstack.model.base import Section
from obstack.model.scalars import MEANINGS, SECRET_REFERENCE_PATTERN


@dataclass(frozen=True)
class Key:
    """One key of a section.

    `kind` is section, list, mapping or value; `section` is the model of the section, or of the items of a list or
    mapping, when they are sections. `required` keys have no default, `nullable` ones may be null.
    """

    name: str
    kind: str
    section: type[Section] | None
    meaning: str
    description: str
    example: Any
    default: Any
    required: bool
    secret: bool
    nullable: bool


@functools.cache
def describe(section: type[Section]) -> tuple[Key, ...]:
    """Given a section's model, return its keys in the order in which they are defined."""
    return tuple(_key(field.alias or name, field) for name, field in section.model_fields.items())


def key_at(section: type[Section], path: Sequence[str | int]) -> Key | None:
    """Given the root model and the way to a value, return the key that governs it; None for an unknown key.

    For an item of a list or mapping that is the list's or mapping's own key.
    """
    key: Key | None = None
    model: type[Section] | None = section
    inside = False
    for part in path:
        if inside:
            inside = False
            continue
        if model is None:
            return key
        key = next((item for item in describe(model) if item.name == part), None)
        if key is None:
            return None
        model = key.section
        inside = key.kind in ("list", "mapping")
    return key


def places_of(section: type[Section], name: str, prefix: str = "") -> Iterator[str]:
    """Given the root model and a key's name, yield every path outside lists at which a key of this name exists."""
    for key in describe(section):
        if key.name == name:
            yield f"{prefix}{name}"
        if key.kind == "section" and key.section is not None:
            yield from places_of(key.section, name, f"{prefix}{key.name}.")


def _key(name: str, field: FieldInfo) -> Key:
    annotation, metadata = _bare(field.annotation, tuple(field.metadata))
    kind, item = _kind(annotation)
    default = None if field.default_factory is not None or field.is_required() else field.default
    if field.default_factory is not None:
        default = {}
    return Key(
        name=name,
        kind=kind,
        section=item if isinstance(item, type) and issubclass(item, Section) else None,
        meaning=_meaning(annotation, metadata),
        description=field.description or "",
        example=(field.examples or [None])[0],
        default=None if default is PydanticUndefined else _plain(default),
        required=field.is_required(),
        secret=_pattern(metadata) == SECRET_REFERENCE_PATTERN,
        nullable=type(None) in typing.get_args(field.annotation),
    )


def _plain(value: Any) -> Any:
    return to_jsonable_python(value, exclude_none=True)


def _bare(annotation: Any, metadata: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Take `Annotated` and `| None` off a type; return what is below and the constraints found on the way."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            metadata = (*metadata, *annotation.__metadata__)
            annotation = annotation.__origin__
        elif origin in (typing.Union, types.UnionType) and type(None) in typing.get_args(annotation):
            rest = tuple(part for part in typing.get_args(annotation) if part is not type(None))
            annotation = typing.Union[rest]  # noqa: UP007 the parts are known only here
        else:
            return annotation, metadata


def _kind(annotation: Any) -> tuple[str, Any]:
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return "list", _bare(typing.get_args(annotation)[0], ())[0]
    if origin is dict:
        return "mapping", _bare(typing.get_args(annotation)[1], ())[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section", annotation
    return "value", annotation


def _meaning(annotation: Any, metadata: tuple[Any, ...]) -> str:
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return f"a list; each item is {_meaning(*_bare(typing.get_args(annotation)[0], ()))}"
    if origin is dict:
        of_keys, of_values = (_meaning(*_bare(part, ())) for part in typing.get_args(annotation))
        return f"a mapping; each key is {of_keys}; each value is {of_values}"
    if origin is typing.Literal:
        return join(str(choice) for choice in typing.get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return join(str(choice.value) for choice in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a section"
    if annotation is bool:
        return "true or false"
    if origin in (typing.Union, types.UnionType):
        return join(
            dict.fromkeys(_SHORT.get(typing.get_origin(part) or part, "text") for part in typing.get_args(annotation))
        )
    if annotation is int:
        low, high = _bounds(metadata)
        return f"a whole number from {low} to {high}"
    return MEANINGS.get(_pattern(metadata), "text")


_SHORT: Final = {bool: "true or false", int: "a number", float: "a number", tuple: "a list of texts"}


def _constraints(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for item in metadata:
        yield from _constraints(tuple(item.metadata)) if isinstance(item, FieldInfo) else (item,)


def _bounds(metadata: tuple[Any, ...]) -> tuple[Any, Any]:
    low: Any = None
    high: Any = None
    for item in _constraints(metadata):
        low = item.ge if isinstance(item, Ge) else low
        high = item.le if isinstance(item, Le) else high
    return low, high


def _pattern(metadata: tuple[Any, ...]) -> str:
    for item in _constraints(metadata):
        pattern = getattr(item, "pattern", None)
        if isinstance(pattern, str):
            return pattern
    return ""


def join(choices: typing.Iterable[str]) -> str:
    """Given words, return them as `a, b or c`."""
    *rest, last = choices
    return f"{', '.join(rest)} or {last}" if rest else last


def fill_empty_sections(section: type[Section], values: Mapping[str, Any]) -> dict[str, Any]:
    """Given a section's values, return them with every section that was written but left empty as an empty mapping.

    So `prometheus:` with all its keys still commented out means its defaults, and `nginx:` among a host's modules means
    a module with its own. A section that may be null stays so.
    """
    filled = dict(values)
    for key in describe(section):
        value = filled.get(key.name, _ABSENT)
        if key.section is None or value is _ABSENT:
            continue
        if key.kind == "mapping" and isinstance(value, dict):
            filled[key.name] = {name: _filled(key.section, item) for name, item in value.items()}
        elif key.kind == "section" and (value is not None or not key.nullable):
            filled[key.name] = _filled(key.section, value)
    return filled


_ABSENT: Final = object()


def _filled(section: type[Section], value: Any) -> Any:
    if isinstance(value, dict):
        return fill_empty_sections(section, value)
    return {} if value is None else value
