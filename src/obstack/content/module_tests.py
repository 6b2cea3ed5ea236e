"""What promtool is given to judge a module: its rules with default thresholds, its tests, its dashboard's queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obstack.catalog.modules import ShippedModule
from obstack.catalog.modules.template import fill_text
from obstack.content.groups import groups_document
from obstack.content.module_rules import default_group
from obstack.content.rules import Group, Recording


def rules_document(module: ShippedModule) -> dict[str, Any]:
    """Given a module, return the rule file of its alerts with the default thresholds."""
    return groups_document([default_group(module)])


def tests_document(tests: Mapping[str, Any], rules: str) -> dict[str, Any]:
    """Given what `alerts.test.yaml` holds and the path of the rule file, return the file of tests for promtool."""
    return {"evaluation_interval": "1m", **tests, "rule_files": [rules]}


def queries_document(module: ShippedModule) -> dict[str, Any]:
    """Given a module, return a rule file of its other queries, each as a recording rule: promtool judges only rules."""
    queries = [panel.expr for panel in module.dashboard.panels] if module.dashboard else []
    if module.module.exporter.up is not None:
        defaults = {name: option.default for name, option in module.options.items() if option.default is not None}
        queries.append(fill_text(module.module.exporter.up, defaults))
    prefix = f"query:{module.name.replace('-', '_')}"
    rules = tuple(Recording(f"{prefix}:{index}", text) for index, text in enumerate(queries))
    return groups_document([Group("queries", rules)])
