"""Which rules a site gets, by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from obstack.content.machine import MACHINE
from obstack.content.probes import PROBES
from obstack.content.rules import Group
from obstack.content.stack import ALERTMANAGER, PROMETHEUS, availability


def rule_files(jobs: Sequence[str], modules: Sequence[Group] = ()) -> Mapping[str, tuple[Group, ...]]:
    """Given the names of the scrape jobs and the groups of modules, return the groups of each rule file."""
    return {
        "availability": (availability(jobs),),
        "prometheus": (PROMETHEUS,),
        "alertmanager": (ALERTMANAGER,),
        "machine": (MACHINE,),
        "probes": (PROBES,),
    } | {f"modules-{group.name}": (group,) for group in modules if group.rules}


def groups_document(groups: Sequence[Group]) -> dict[str, Any]:
    """Given groups, return the rule file's document."""
    return {"groups": [group.document() for group in groups]}
