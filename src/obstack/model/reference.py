"""The reference of the configuration, made from the model: JSON Schema for editors, a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obstack.model.base import Section
from obstack.model.describe import Key, describe
from obstack.model.example import inline
from obstack.model.site import Site


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `global.yaml`."""
    schema = Site.model_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        for name, value in definition.get("properties", {}).items():
            definition["properties"][name] = _may_be_empty(value)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the observability stack",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _may_be_empty(value: dict[str, Any]) -> dict[str, Any]:
    """A section that is written with all its keys still commented out is allowed, and means its defaults."""
    if "$ref" not in value or "default" not in value:
        return value
    rest = {key: item for key, item in value.items() if key != "$ref"}
    return {"anyOf": [{"$ref": value["$ref"]}, {"type": "null"}], **rest}


def configuration_page(generated: str) -> str:
    """Given the line that says the page is generated, return the reference as Markdown."""
    return "\n".join(_lines(generated)).rstrip() + "\n"


def _lines(generated: str) -> Iterator[str]:
    yield from (
        "# Configuration",
        "",
        generated,
        "",
        "The base is `config/global.yaml`. With `--environment NAME`, `config/environments/NAME.yaml` is laid over it:",
        "mappings merge key by key, everything else (lists too) replaces what was there, and a key without a value",
        "changes nothing. An overlay that does not say so itself sets `environment` to its name.",
        "`observability config show --origin` shows which file and line each value came from.",
        "",
        "Unknown keys, placeholders (`CHANGE_ME`, `<...>`, `TODO`), names reserved for examples in production, weak",
        "passwords, anchors, aliases and tags are errors. All problems are shown at once.",
        "",
    )
    yield from _section(Site, "", "Top level")


def _section(section: type[Section], prefix: str, title: str) -> Iterator[str]:
    yield from (f"## {title}", "", (section.__doc__ or "").strip(), "")
    yield from ("| key | value | default | meaning |", "|---|---|---|---|")
    keys = describe(section)
    for key in keys:
        yield f"| `{prefix}{key.name}` | {_cell(_value(key))} | {_cell(_default(key))} | {_cell(key.description)} |"
    yield ""
    for key in keys:
        if key.section is not None:
            below = {"section": ".", "list": "[].", "mapping": ".NAME."}[key.kind]
            yield from _section(key.section, f"{prefix}{key.name}{below}", f"`{prefix}{key.name}`")


def _value(key: Key) -> str:
    return f"{key.meaning}, for example `{inline(key.example)}`" if key.section is None else key.meaning


def _default(key: Key) -> str:
    if key.required:
        return "required"
    if key.kind == "section":
        return "its keys' defaults" if key.default is not None else "none"
    return "none" if key.default is None else f"`{inline(key.default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
