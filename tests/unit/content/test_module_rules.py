"""Rules of modules: one for each set of thresholds, however many hosts there are."""

from __future__ import annotations

from typing import Any

from obstack.catalog.modules import ShippedModule
from obstack.content.groups import rule_files
from obstack.content.module_rules import default_group, module_groups
from obstack.content.rules import Alert, Group
from obstack.model.module import Module, ModuleRules
from obstack.model.site import Site

MODULE = ShippedModule(
    Module.model_validate(
        {
            "name": "web",
            "title": "web",
            "description": "web",
            "options": {
                "share": {"type": "number", "default": 0.8, "threshold": True, "description": "x"},
                "hold": {"type": "duration", "default": "5m", "threshold": True, "description": "x"},
                "user": {"type": "name", "default": "x", "description": "x"},
            },
            "exporter": {"key_metric": "web_up", "port": 9999},
        }
    ),
    ModuleRules.model_validate(
        {
            "recordings": [{"record": "instance:web:ratio", "expr": "web_used / web_room"}],
            "alerts": [
                {
                    "alert": "WebFull",
                    "expr": "instance:web:ratio > ${share}",
                    "for": "${hold}",
                    "severity": "warning",
                    "labels": {"team": "web"},
                    "summary": "s",
                    "description": "d",
                },
                {"alert": "WebDown", "expr": "web_up == 0", "severity": "critical", "summary": "s", "description": "d"},
            ],
        }
    ),
    folder="modules/web",
)


def groups(**hosts: dict[str, Any] | None) -> tuple[Group, ...]:
    described = {
        name.replace("_", "-"): {"address": "192.0.2.1"}
        | ({} if options is None else {"modules": {"web": {"options": options}}})
        for name, options in hosts.items()
    }
    site = Site.model_validate({"domain": "o.example.org", "hosts": described})
    return module_groups(site, {"web": MODULE})


def rules(name: str, **hosts: dict[str, Any]) -> list[tuple[str, str]]:
    (group,) = groups(**hosts)
    return [(rule.expression, rule.hold) for rule in group.rules if isinstance(rule, Alert) and rule.name == name]


def test_a_module_that_nobody_uses_has_no_rules() -> None:
    assert groups(web_1=None) == ()


def test_hosts_without_settings_share_plain_rules() -> None:
    (group,) = groups(web_1={}, web_2={"user": "other"}, web_3=None)
    assert group == default_group(MODULE)
    assert rule_files(("web",), (group,))["modules-web"] == (group,)
    assert group.document() == {
        "name": "web",
        "rules": [
            {"record": "instance:web:ratio", "expr": "web_used / web_room"},
            {
                "alert": "WebFull",
                "expr": "instance:web:ratio > 0.8",
                "for": "5m",
                "labels": {"severity": "warning", "team": "web"},
                "annotations": {"summary": "s", "description": "d", "runbook": "modules/web/runbooks/WebFull.md"},
            },
            {
                "alert": "WebDown",
                "expr": "web_up == 0",
                "for": "0s",
                "labels": {"severity": "critical"},
                "annotations": {"summary": "s", "description": "d", "runbook": "modules/web/runbooks/WebDown.md"},
            },
        ],
    }


def test_hosts_that_differ_have_a_rule_of_their_own() -> None:
    fleet: dict[str, dict[str, Any]] = {
        "web_1": {},
        "web_2": {},
        "web_3": {"share": 0.9},
        "web_4": {"share": 0.9, "hold": "1m"},
    }
    assert rules("WebFull", **fleet) == [
        ('(instance:web:ratio > 0.8) unless on (host) up{job="web",host=~"web-3|web-4"}', "5m"),
        ('(instance:web:ratio > 0.9) and on (host) up{job="web",host=~"web-4"}', "1m"),
        ('(instance:web:ratio > 0.9) and on (host) up{job="web",host=~"web-3"}', "5m"),
    ]
    assert rules("WebDown", **fleet) == [("web_up == 0", "0s")]


def test_the_largest_share_of_hosts_needs_no_list() -> None:
    assert rules("WebFull", web_1={}, web_2={"share": 0.9}, web_3={"share": 0.9}) == [
        ('(instance:web:ratio > 0.9) unless on (host) up{job="web",host=~"web-1"}', "5m"),
        ('(instance:web:ratio > 0.8) and on (host) up{job="web",host=~"web-1"}', "5m"),
    ]
    assert rules("WebFull", web_1={"share": 0.9}) == [("instance:web:ratio > 0.9", "5m")]


def test_a_large_fleet_has_few_rules_and_matchers_of_bounded_length() -> None:
    fleet = {f"web_{number}": {"share": (0.7, 0.8, 0.9)[number % 3]} for number in range(10_000)}
    found = rules("WebFull", **fleet)
    assert len(found) == 3
    matchers = [part for expression, _ in found for part in expression.split('host=~"')[1:]]
    assert max(map(len, matchers)) < 6_000
    assert all("web-" in matcher for matcher in matchers)
