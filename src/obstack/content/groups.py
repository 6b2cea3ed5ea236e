"""Which rules a site gets, by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from obstack.content.door import LIFE_S, door_group
from obstack.content.machine import MACHINE
from obstack.content.probes import PROBES
from obstack.content.rules import Group
from obstack.content.stack import ALERTMANAGER, PROMETHEUS, availability


def rule_files(
    jobs: Sequence[str], modules: Sequence[Group] = (), door_life_s: int = LIFE_S
) -> Mapping[str, tuple[Group, ...]]:
    """Given the names of the scrape jobs and the groups of modules, return the groups of each rule file.

    `door_life_s` is how long a certificate of the front door lives.
    """
    return {
        "availability": (availability(jobs),),
        "prometheus": (PROMETHEUS,),
        "alertmanager": (ALERTMANAGER,),
        "machine": (MACHINE,),
        "probes": (PROBES,),
        "front-door": (door_group(door_life_s),),
    } | {f"modules-{group.name}": (group,) for group in modules if group.rules}


def groups_document(groups: Sequence[Group]) -> dict[str, Any]:
    """Given groups, return the rule file's document."""
    return {"groups": [group.document() for group in groups]}
