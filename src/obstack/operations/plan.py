"""What an apply would change, without changing anything."""

from __future__ import annotations

from obstack.agent.paths import FIREWALL_UNIT
from obstack.operations.asking import contents_of, read, taken
from obstack.operations.desired import ROLE, Desired
from obstack.operations.inspection import Inspection, inspect
from obstack.plan.closing import FACTS, decide_closings
from obstack.plan.explain import Plan, decide_plan
from obstack.ports import Channel, Reporter
from obstack.render.firewall import server_openings


def make_plan(channel: Channel, desired: Desired, reporter: Reporter) -> Plan:
    """Look at the node and return what an apply of the desired generation would do. Nothing is changed."""
    closes = _closes(desired)
    inspection = inspect(channel, reporter, question={"names": FACTS} if closes else None)
    return decide_plan(
        inspection.manifest,
        desired.manifest,
        drift=inspection.drift,
        running=inspection.running,
        contents_before=_changed_contents(channel, inspection, desired, reporter),
        contents_after=desired.contents.blobs,
        closings=decide_closings(inspection.facts, server_openings(desired.site), _names(desired)) if closes else (),
    )


def _closes(desired: Desired) -> bool:
    """Return whether what is desired is a server that shuts what is not declared."""
    firewall = any(unit.name == FIREWALL_UNIT for unit in desired.manifest.units)
    return firewall and desired.manifest.role == ROLE


def _names(desired: Desired) -> frozenset[str]:
    return frozenset(unit.name for unit in desired.manifest.units)


def _changed_contents(
    channel: Channel, inspection: Inspection, desired: Desired, reporter: Reporter
) -> dict[str, bytes]:
    """Fetch the present content of the files that will differ, except what is secret; nothing when none will."""
    if inspection.manifest is None:
        return {}
    wanted = {entry.path: entry for entry in desired.manifest.files}
    paths = [
        entry.path
        for entry in inspection.manifest.files
        if not entry.secret and entry.path in wanted and wanted[entry.path].digest != entry.digest
    ]
    if not paths:
        return {}
    reply = read(channel, "contents", reporter, {"paths": paths})
    return taken(channel, lambda: contents_of(reply))
