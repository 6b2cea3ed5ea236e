"""The commented example file, made from the model: every key with its description, defaults commented out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obstack.model.base import Section
from obstack.model.describe import Key, describe
from obstack.model.rules import Path
from obstack.model.site import Site

SCHEMA_FILE: Final = "configuration.schema.json"
HOST_SCHEMA_FILE: Final = "host.schema.json"

HEADER: Final = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
#
# The configuration of the observability stack. Every key is here: what is commented out shows its default, or an
# example where there is none. Remove the "# " before a key to set it. Passwords are not here: `secret:NAME` stands for
# the file secrets/NAME. An environment's own values go to environments/NAME.yaml, each monitored host's to
# hosts/NAME.yaml (observability host add NAME --address ADDRESS).
#
# Check it with: observability config validate
"""

ELSEWHERE: Final[tuple[Path, ...]] = (("hosts",),)
"""Keys that are written in files of their own."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9._@/:+-]*(?<!:)")
_NOT_TEXT: Final = re.compile(
    r"(?i)(?![0-9]+(?:\.[0-9]+){3}$)[0-9._+-]+(e[0-9+-]+)?|0[xob][0-9a-f_]+|[0-9]{4}-[0-9-]+.*|true|false|null|yes|no|on|off|y|n"
)


def inline(value: Any) -> str:
    """Given a value, return it as YAML on one line."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(inline(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{inline(key)}: {inline(item)}' for key, item in value.items())}}}" if value else "{}"
    text = json.dumps(value, ensure_ascii=False)
    # YAML takes some that nobody sees for ends of lines, and refuses others, unless they are escaped.
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)


def example(live: Mapping[Path, Any]) -> str:
    """Given the values to set, by path, return the text of an example file with all other keys commented out."""
    return HEADER + "\n" + "\n".join(_section(Site, (), live)) + "\n"


def _section(section: type[Section], path: Path, live: Mapping[Path, Any]) -> Iterator[str]:
    indent = "  " * len(path)
    for key in describe(section):
        here = (*path, key.name)
        if here in ELSEWHERE:
            continue
        yield f"{indent}# {key.description}"
        if key.kind == "section" and key.section is not None and key.default is not None:
            yield f"{indent}{key.name}:"
            yield from _section(key.section, here, live)
        elif here in live:
            yield f"{indent}{key.name}: {inline(live[here])}"
        else:
            yield from (f"{indent}# {line}" for line in _key(key))
        if not path:
            yield ""


def _key(key: Key) -> Iterator[str]:
    """Yield the lines of a key that is not set: its default, or an example that shows every key below it."""
    example_value = key.default if key.default not in (None, [], {}) else key.example
    if key.kind == "section" and key.section is not None:
        yield f"{key.name}:"
        yield from (f"  {line}" for line in _explained(key.section, example_value))
    elif key.kind == "list" and key.section is not None:
        yield f"{key.name}:"
        yield from (f"  {line}" for line in _items(key.section, example_value))
    elif key.kind == "mapping" and key.section is not None:
        yield f"{key.name}:"
        for name, value in example_value.items():
            yield f"  {inline(name)}:"
            yield from (f"    {line}" for line in _explained(key.section, value))
    else:
        yield f"{key.name}: {inline(example_value)}"


def _explained(section: type[Section], values: Mapping[str, Any]) -> Iterator[str]:
    for key in describe(section):
        value = values.get(key.name, key.default if key.default not in (None, [], {}) else key.example)
        yield f"# {key.description}{' (required)' if key.required else ''}"
        yield f"{key.name}: {inline(value)}"


def _items(section: type[Section], values: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for value in values:
        description, first, *rest = _explained(section, value)
        yield from (description, f"- {first}")
        yield from (f"  {line}" for line in rest)
