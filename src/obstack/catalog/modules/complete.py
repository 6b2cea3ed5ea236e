"""What makes a module complete beyond being readable: pages, tests and dashboard, as `module validate` demands them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from obstack.catalog.modules.shipped import ShippedModule
from obstack.model.rules import Finding, Path

SECTIONS: Final = ("Meaning", "Impact", "Diagnosis", "Mitigation", "It is over when")
"""The sections of a runbook page, in order."""


def unfinished_alerts(module: ShippedModule, tests: Mapping[str, Any]) -> list[Finding]:
    """Given a module and what its tests hold, return what its alerts lack, as findings about `alerts.yaml`."""
    return [*_pages(module), *_cases(module, tests), *_down(module)]


def page_faults(name: str, text: str) -> Iterator[str]:
    """Given an alert and the text of its page, yield what is wrong with the page."""
    title, *sections = text.split("\n## ")
    if title.strip() != f"# {name}":
        yield f"must begin with the title # {name}"
    found = tuple(section.partition("\n")[0].strip() for section in sections)
    if found != SECTIONS:
        yield f"must have the sections {', '.join(SECTIONS)}, in this order"
    for heading, section in zip(found, sections, strict=True):
        if not section.partition("\n")[2].strip():
            yield f"says nothing under {heading}"


def _pages(module: ShippedModule) -> Iterator[Finding]:
    for path, name in _names(module):
        if name not in module.runbooks:
            yield Finding(
                path, f"{name} has no page", f"Write runbooks/{name}.md: {', '.join(SECTIONS)}; each a heading ##."
            )


def _cases(module: ShippedModule, tests: Mapping[str, Any]) -> Iterator[Finding]:
    fired = set(_fired(tests))
    for path, name in _names(module):
        if name not in fired:
            yield Finding(
                path,
                f"{name} fires in no case of alerts.test.yaml that names its label host",
                "Add a case with alert_rule_test, or with promql_expr_test on ALERTS{alertname=…,host=…}.",
            )


def _names(module: ShippedModule) -> Iterator[tuple[Path, str]]:
    names = dict.fromkeys(rule.alert for rule in module.rules.alerts)
    for name in names:
        index = next(index for index, rule in enumerate(module.rules.alerts) if rule.alert == name)
        yield ("alerts", index, "alert"), name


def _fired(tests: Mapping[str, Any]) -> Iterator[str]:
    """Yield the alerts that a case expects to fire with a label host; what has another form is promtool's to refuse."""
    for case in _mappings(tests.get("tests")):
        for test in _mappings(case.get("alert_rule_test")):
            for alert in _mappings(test.get("exp_alerts")):
                if "host" in (alert.get("exp_labels") or {}):
                    yield str(test.get("alertname"))
        for test in _mappings(case.get("promql_expr_test")):
            expression = str(test.get("expr"))
            if re.search(r"\bhost=", expression) and any(
                item.get("value") for item in _mappings(test.get("exp_samples"))
            ):
                yield from re.findall(r'alertname="([^"]+)"', expression)


def _mappings(items: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, Mapping))


def _down(module: ShippedModule) -> Iterator[Finding]:
    """Whoever watches a service is told when it goes away; that a target is gone TargetDown tells for all modules."""
    up = module.module.exporter.up
    if (
        up is not None
        and not re.match(r"up\b", up)
        and not any(name.endswith(("Down", "Gone")) for _, name in _names(module))
    ):
        yield Finding(
            ("alerts",),
            "no alert tells that the service is down, although exporter.up says how that is seen",
            "Add an alert whose name ends with Down or Gone.",
        )
