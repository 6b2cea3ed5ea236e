"""Whoever is woken by an alert finds its runbook, and in it what to look at and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from obstack.content.groups import rule_files
from obstack.content.module_rules import default_group
from obstack.content.rules import Alert
from obstack.edges.modulefile import load_modules, module_names, shipped_folder

RUNBOOKS = Path(__file__).parents[3] / "docs/runbooks"
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "It is over when"]


def alerts() -> dict[str, Alert]:
    groups = [group for file in rule_files(("prometheus",)).values() for group in file]
    return {rule.name: rule for group in groups for rule in group.rules if isinstance(rule, Alert)}


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == set(alerts())


@pytest.mark.parametrize("name", sorted(alerts()))
def test_a_runbook_has_every_section_filled(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    title, *sections = text.split("\n## ")
    assert title.strip() == f"# {name}"
    assert [section.partition("\n")[0] for section in sections] == SECTIONS
    assert all(section.partition("\n")[2].strip() for section in sections)


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_leads_to_a_file_that_exists(name: str) -> None:
    annotations = alerts()[name].document()["annotations"]
    assert (RUNBOOKS.parents[1] / annotations["runbook"]).is_file()
    assert annotations["summary"]
    assert annotations["description"]


@pytest.mark.parametrize("name", module_names(shipped_folder()))
def test_the_alerts_of_a_module_lead_to_its_own_pages(name: str) -> None:
    module = load_modules()[name]
    rules = [rule for rule in default_group(module).rules if isinstance(rule, Alert)]
    for rule in rules:
        page = RUNBOOKS.parents[1] / rule.document()["annotations"]["runbook"]
        assert page == shipped_folder() / name / "runbooks" / f"{rule.name}.md"
        assert page.is_file()
    assert {rule.name for rule in rules} == set(module.runbooks)
    assert not {rule.name for rule in rules} & set(alerts()), "an alert of the stack has the name already"
