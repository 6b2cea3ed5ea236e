"""Whether a module is complete: beyond being readable it has pages, tests and a dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstack.catalog.modules.complete import page_faults, unfinished_alerts
from obstack.catalog.modules.shipped import ShippedModule
from obstack.edges.configfile.merge import unfold
from obstack.edges.configfile.nodes import parse
from obstack.edges.modulefile.load import DASHBOARD, RULES, RUNBOOKS, TESTS, examine_module
from obstack.errors import WHOLE_FILE, Problem
from obstack.model.loaded import Sources


@dataclass(frozen=True)
class Validated:
    """A module with every problem, and what its tests hold; without a module where its form is not valid."""

    shipped: ShippedModule | None
    tests: Mapping[str, Any]
    problems: tuple[Problem, ...]


def validate_module(folder: Path, called: str = "") -> Validated:
    """Given a module's folder and what it is called in messages, return what it holds and whatever it lacks."""
    examined = examine_module(folder, called)
    shipped, called = examined.shipped, called or str(folder)
    if shipped is None:
        return Validated(None, {}, examined.problems)
    document = parse(f"{called}/{TESTS}", shipped.tests.encode())
    tests = unfold(document.tree)[0] if document.tree is not None else {}
    problems = [*examined.problems, *document.problems, *_unfinished(folder, called, shipped, tests)]
    return Validated(shipped, tests, tuple(problems))


def _unfinished(folder: Path, called: str, shipped: ShippedModule, tests: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _alerts(folder, called, shipped, tests)
    alerts = {rule.alert for rule in shipped.rules.alerts}
    for name, text in sorted(shipped.runbooks.items()):
        page = f"{called}/{RUNBOOKS}/{name}.md"
        if name not in alerts:
            yield Problem(page, 0, 0, WHOLE_FILE, f"is the page of no alert of {RULES}", "Remove or rename it.")
        for fault in page_faults(name, text):
            yield Problem(page, 0, 0, WHOLE_FILE, fault, "docs/how-to/write-a-module.md    shows a whole page")
    if not (folder / DASHBOARD).exists():
        remedy = "Write it: a title, and panels with title, kind, unit and expr."
        yield Problem(f"{called}/{DASHBOARD}", 0, 0, WHOLE_FILE, "does not exist", remedy)


def _alerts(folder: Path, called: str, shipped: ShippedModule, tests: Mapping[str, Any]) -> Iterator[Problem]:
    findings = unfinished_alerts(shipped, tests)
    file = f"{called}/{RULES}"
    try:
        document = parse(file, (folder / RULES).read_bytes())
    except OSError:
        document = parse(file, b"")
    marks = unfold(document.tree)[1] if document.tree is not None else {}
    sources = Sources((file,), {file: document.lines}, marks)
    yield from (sources.problem(finding) for finding in findings)
