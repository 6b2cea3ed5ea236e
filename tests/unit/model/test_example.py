import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from obstack.edges.configfile import FileConfigurations
from obstack.model.base import Section
from obstack.model.describe import Key, describe
from obstack.model.example import example, inline
from obstack.model.host import Host
from obstack.model.site import Site

LIVE: dict[tuple[str | int, ...], Any] = {("version",): 1, ("environment",): "drill", ("domain",): "mon.test"}


def keys(section: type[Section]) -> list[tuple[str, Key]]:
    found = []
    for key in describe(section):
        found.append((f"{section.__name__}.{key.name}", key))
        if key.section is not None:
            found += keys(key.section)
    return found


def examine(folder: Path, text: str) -> list[str]:
    (folder / "global.yaml").write_text(text, encoding="utf-8")
    return [f"{problem.place}: {problem.message}" for problem in FileConfigurations(folder).examine().problems]


def uncomment(text: str) -> str:
    """Take one "# " off every line that is a key, as a person would."""
    lines = []
    for line in text.splitlines():
        match = re.match(r"( *)# ((?: *- )?(?: *)[a-z_]+:.*|  +.*)$", line)
        lines.append(f"{match[1]}{match[2]}" if match else line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("name", "key"), keys(Site), ids=[name for name, _ in keys(Site)])
def test_every_key_has_a_description_a_meaning_and_an_example(name: str, key: Key) -> None:
    assert key.description.endswith((".", ")"))
    assert key.meaning
    assert key.example is not None


def fields(section: type[Section]) -> Iterator[tuple[str, Any, Any]]:
    """Every field of a section and of those in it: its name, its type, and an example."""
    for name, field in section.model_fields.items():
        for value in field.examples or ():
            yield f"{section.__name__}.{name}", Annotated[field.annotation, "its own form", *field.metadata], value
    for key in describe(section):
        if key.section is not None:
            yield from fields(key.section)


@pytest.mark.parametrize(("name", "kind", "value"), [*fields(Site)], ids=[name for name, _, _ in fields(Site)])
def test_an_example_is_valid_by_itself(name: str, kind: Any, value: Any) -> None:
    """It stands where a value is faulty, so that the rest can be judged."""
    TypeAdapter(kind).validate_python(value)


def test_the_example_file_is_valid_as_it_is_made(tmp_path: Path) -> None:
    assert examine(tmp_path, example(LIVE)) == []
    assert FileConfigurations(tmp_path).load().site == Site(domain="mon.test", environment="drill")


def test_the_example_file_is_valid_with_every_key_set(tmp_path: Path) -> None:
    text = uncomment(example(LIVE)).replace("/srv/observability-modules", str(tmp_path))
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "web-1.yaml").write_text("address: 192.0.2.10\nmodules: {blackbox: {}}\n", encoding="utf-8")
    assert examine(tmp_path, text) == []
    site = FileConfigurations(tmp_path).load().site
    assert site.alertmanager.receivers[0].name == site.alertmanager.default_receiver == "operators"
    assert site.blackbox.probes[0].target == "https://www.example.org/"
    assert site.artifacts.components["prometheus"].suite == "trixie"


def test_the_example_file_names_every_key_once_with_its_description() -> None:
    text = example(LIVE)
    elsewhere = {"Site.hosts", *(place for place, _ in keys(Host))}  # each host has a file of its own
    for place, key in keys(Site):
        if place in elsewhere:
            continue
        assert re.search(rf"^[ #-]*{key.name}:", text, re.MULTILINE), key.name
        assert f"# {key.description}" in text


def test_the_example_file_points_editors_to_its_schema() -> None:
    assert example(LIVE).startswith("# yaml-language-server: $schema=configuration.schema.json\n")


@pytest.mark.parametrize(
    "value",
    [
        "30d", "1e5", "0x1f", "0o17", "1_000", "2026-01-02", "12:30", "true", "No", "null", "~", "", " a", "a ", "a: b",
        "a #b", "- a", "*a", "&a", "!a", "%a", "@a", "`a", "'a", '"a', "[a", "{a", "|", ">", "?", "a:", "secret:a",
        "https://a.test/?q=1#f", "/metrics", ".5", "-1", "+1", ".inf", "ä", "\u2028", "a\nb", "3.13", "3.13.4", "=",
        "<<", 1, 1.5, True, False, None, [], {}, ["a", "b: c"], {"a": ["b"]}, {"1": "x", "y": "no"},
    ],
)  # fmt: skip
def test_a_value_on_one_line_reads_back_as_itself(value: Any) -> None:
    assert YAML(typ="safe", pure=True).load(f"key: {inline(value)}\n") == {"key": value}
