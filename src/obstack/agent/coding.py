"""Frozen values as canonical JSON and back.

Canonical JSON (sorted keys, no spaces, UTF-8) makes equal values equal bytes. Decoding is strict: a missing field, an
unknown field or a value of the wrong type is refused.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")

LARGEST = 2.0**63
"""No number that is said is larger: neither times nor sizes are."""
DEEPEST = 32
"""Plain data are nested in no more levels."""


class WireError(ValueError):
    """A message is not of the agreed form; the text says which field and why."""


def canonical(value: Any) -> bytes:
    """Given plain JSON data, return its one canonical encoding.

    A name of a file need not be UTF-8: the halves of characters that stand for its bytes become escapes of JSON.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def encode(value: Any) -> Any:
    """Given a wire value, return plain JSON data; tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def sparse(value: Any) -> Any:
    """Given a wire value, return what `encode` returns, without the fields that have their default value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: sparse(item) for f in dataclasses.fields(value) if (item := getattr(value, f.name)) != _default(f)
        }
    if isinstance(value, (list, tuple)):
        return [sparse(item) for item in value]
    return encode(value)


def _default(spec: dataclasses.Field[Any]) -> Any:
    return spec.default if spec.default_factory is dataclasses.MISSING else spec.default_factory()


def line(value: Any) -> bytes:
    """Given a wire value, return its line: canonical JSON and a newline."""
    return canonical(encode(value)) + b"\n"


def load(raw: bytes) -> Any:
    """Given a line or a file of JSON from somewhere else, return its data.

    Raises WireError for what is no JSON, is nested too deeply to be handled, or holds a number that is none.
    """
    try:
        data = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
    _demand_plain(data)
    return data


def _refuse_constant(word: str) -> Any:
    raise WireError(f"{word} is no number")


def _demand_plain(data: Any) -> None:
    level = [data]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, (int, float)) and not -LARGEST <= value <= LARGEST:
                raise WireError("a number is too large")
        if not below:
            return
        level = below
    raise WireError("the data are nested too deeply")


def decode(kind: type[T], data: Any, where: str = "") -> T:
    """Given plain JSON data, return the value of dataclass `kind` that it encodes.

    Raises WireError, naming the field, for anything missing, unknown or of the wrong type.
    """
    where = where or kind.__name__
    if not isinstance(data, dict):
        raise WireError(f"{where}: an object was expected, not {type(data).__name__}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise WireError(f"{where}: unknown field {unknown[0]!r}")
    values: dict[str, Any] = {}
    for name, spec in fields.items():
        if name in data:
            values[name] = _decode(hints[name], data[name], f"{where}.{name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise WireError(f"{where}: field {name!r} is missing")
    return kind(**values)


def _decode(hint: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if hint is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        (inner,) = [option for option in typing.get_args(hint) if option is not type(None)]
        return _decode(inner, data, where)
    if origin is tuple:
        if not isinstance(data, (list, tuple)):
            raise WireError(f"{where}: a list was expected, not {type(data).__name__}")
        item = typing.get_args(hint)[0]
        return tuple(_decode(item, element, f"{where}[{index}]") for index, element in enumerate(data))
    if origin is dict:
        if not isinstance(data, dict):
            raise WireError(f"{where}: an object was expected, not {type(data).__name__}")
        item = typing.get_args(hint)[1]
        return {str(key): _decode(item, element, f"{where}.{key}") for key, element in data.items()}
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), data, where)
    if hint is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        if not -LARGEST <= data <= LARGEST:  # nor is what is not a number
            raise WireError(f"{where}: a number was expected that is not too large")
        return float(data)
    if not isinstance(data, hint) or (hint is int and isinstance(data, bool)):
        raise WireError(f"{where}: {hint.__name__} was expected, not {type(data).__name__}")
    return data
