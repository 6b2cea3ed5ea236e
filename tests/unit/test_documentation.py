"""Documents do not promise what is not there: links lead somewhere, commands exist."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from obstack.cli.main import cli

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = sorted((*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / "modules").rglob("*.md")))

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE = re.compile(r"^(?: {4}|\t)(?P<block>\S.*)$|`(?P<span>[^`\n]+)`", re.MULTILINE)
PROGRAMS = ("./observability", "./obs", "observability", "obs")


def names(document: Path) -> str:
    return str(document.relative_to(CHECKOUT))


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as they are made by the places that show Markdown."""
    headings = HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(document: Path) -> Iterator[list[str]]:
    """The command lines in a document's code, one list of words each; comments and pipes end a command."""
    for match in CODE.finditer(document.read_text(encoding="utf-8")):
        text = match["block"] or match["span"]
        for part in re.split(r"\s\|\s|\s&&\s|\s{3,}|\s#", text):
            try:
                words = shlex.split(part)
            except ValueError:
                continue
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words:
                yield words


def ways_to_go_wrong(words: list[str]) -> list[str]:
    """What is wrong with a command line of ours; nothing when every command and option of it exists."""
    command: click.Command = cli
    wrong = []
    for word in words[1:]:
        if word.startswith("--"):
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if word.partition("=")[0] not in known | {"--help"}:
                wrong.append(f"{command.name} has no option {word}")
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return [f"{command.name} has no command {word}"]
            command = found
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(CHECKOUT), f"{link} leaves the repository"
        assert not anchor or anchor in anchors(target), f"{link} has no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_command_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(document):
        if words[0] in PROGRAMS:
            assert ways_to_go_wrong(words) == [], shlex.join(words)
        elif words[0] == "make" and len(words) > 1:
            assert words[1] in targets, f"make has no target {words[1]}"
        elif words[0].startswith("./scripts/"):
            assert os.access(CHECKOUT / words[0], os.X_OK), f"{words[0]} is not there"


def test_the_index_reaches_every_document() -> None:
    start = CHECKOUT / "README.md"
    seen = {start}
    waiting = [start]
    while waiting:
        document = waiting.pop()
        for link in LINK.findall(document.read_text(encoding="utf-8")):
            target = (document.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in seen:
                seen.add(target)
                waiting.append(target)

    assert set(DOCUMENTS) - seen == {CHECKOUT / "docs" / "adr" / "0000-template.md"} - seen


def test_a_command_that_does_not_exist_would_be_found() -> None:
    assert ways_to_go_wrong(["./observability", "version", "--json"]) == []
    assert ways_to_go_wrong(["./observability", "fly"]) != []
    assert ways_to_go_wrong(["./observability", "version", "--fly"]) != []
    assert ways_to_go_wrong(["./observability", "config", "fly"]) != []


def test_the_changelog_has_the_form_that_tools_read() -> None:
    lines = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    versions = [line for line in lines if line.startswith("## ")]
    kinds = {line for line in lines if line.startswith("### ")}

    assert versions[0] == "## [Unreleased]"
    assert all(re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", line) for line in versions[1:])
    assert kinds <= {f"### {kind}" for kind in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")}
