"""The reference of the configuration, made from the model: JSON Schema for editors, a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from obstack.model.base import Section
from obstack.model.dashboard import Dashboard
from obstack.model.describe import Key, describe
from obstack.model.example import inline
from obstack.model.host import Host
from obstack.model.module import Module, ModuleRules
from obstack.model.site import Site

HOSTS: Final = "hosts"
"""The key of the site that is written in files of its own."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `global.yaml`."""
    schema = Site.model_json_schema()
    del schema["properties"][HOSTS]
    return _finished(schema, "Configuration of the observability stack")


def host_schema() -> dict[str, Any]:
    """Return the JSON Schema of `hosts/NAME.yaml`."""
    schema = Host.model_json_schema()
    for name, value in schema["properties"].items():
        if name not in schema["required"]:
            schema["properties"][name] = _or_null(value)
    return _finished(schema, "A monitored host of the observability stack")


def module_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas of a module's files, by what the file is called without its suffix."""
    return {
        "module": _finished(Module.model_json_schema(), "module.yaml of a module"),
        "alerts": _finished(ModuleRules.model_json_schema(), "alerts.yaml of a module"),
        "dashboard": _finished(Dashboard.model_json_schema(), "dashboard.json of a module"),
    }


def module_files_page(generated: str) -> str:
    """Given the line that says the page is generated, return the reference of a module's files as Markdown."""
    lines = [
        "# The files of a module",
        "",
        generated,
        "",
        "[How to write a module](../how-to/write-a-module.md) tells what they are for. As JSON Schema: [module.yaml]"
        "(module.schema.json), [alerts.yaml](alerts.schema.json), [dashboard.json](dashboard.schema.json).",
        "",
    ]
    for title, section in (("module.yaml", Module), ("alerts.yaml", ModuleRules), ("dashboard.json", Dashboard)):
        lines += _section(section, "", title)
    return "\n".join(lines).rstrip() + "\n"


def _finished(schema: dict[str, Any], title: str) -> dict[str, Any]:
    definitions = schema["$defs"]
    for definition in (schema, *definitions.values()):
        for name, value in definition.get("properties", {}).items():
            definition["properties"][name] = _may_be_empty(value, definitions)
    used = _used({key: value for key, value in schema.items() if key != "$defs"}, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **{key: value for key, value in schema.items() if key not in ("title", "$defs")},
        "$defs": {name: value for name, value in definitions.items() if name in used},
    }


def _used(schema: Any, definitions: dict[str, Any]) -> set[str]:
    """Return the names of the definitions that a part of a schema leads to."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(definitions[name])
            waiting += part.values()
    return found


def _may_be_empty(value: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A section that is written with all its keys still commented out is allowed, and means its defaults.

    So is one of a mapping that needs nothing more than its name.
    """
    if "anyOf" in value:
        return value | {"anyOf": [_may_be_empty(form, definitions) for form in value["anyOf"]]}
    if "patternProperties" in value:
        named = value["patternProperties"].items()
        return value | {"patternProperties": {name: _or_empty(of, definitions) for name, of in named}}
    if isinstance(value.get("additionalProperties"), dict):
        return value | {"additionalProperties": _or_empty(value["additionalProperties"], definitions)}
    return _or_null(value) if "$ref" in value and "default" in value else value


def _or_empty(value: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    name = str(value.get("$ref", "")).rpartition("/")[2]
    return _or_null(value) if name and "required" not in definitions[name] else value


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in value:
        null = {"type": "null"}
        return value if null in value["anyOf"] else value | {"anyOf": [*value["anyOf"], null]}
    told = ("default", "description", "examples", "title")
    form = {key: item for key, item in value.items() if key not in told}
    return {"anyOf": [form, {"type": "null"}]} | {key: item for key, item in value.items() if key in told}


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
        "Monitored hosts are not keys of these files: each has a file of its own, see [hosts](hosts.md).",
        "",
    )
    yield from _section(Site, "", "Top level")


def hosts_page(generated: str) -> str:
    """Given the line that says the page is generated, return the reference of the hosts' files as Markdown."""
    intro = (
        "# Hosts",
        "",
        generated,
        "",
        "Each monitored host is a file `config/hosts/NAME.yaml`; the name of the file is the name of the host. A key",
        "without a value means its default. Hosts are the same in every environment: an overlay cannot change them.",
        "[Hosts](../how-to/hosts.md) tells how they are used. The schema for editors is `host.schema.json`.",
        "",
    )
    return "\n".join((*intro, *_section(Host, "", "Top level"))).rstrip() + "\n"


def _section(section: type[Section], prefix: str, title: str) -> Iterator[str]:
    yield from (f"## {title}", "", (section.__doc__ or "").strip(), "")
    yield from ("| key | value | default | meaning |", "|---|---|---|---|")
    keys = [key for key in describe(section) if section is not Site or key.name != HOSTS]
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
