"""The unit that runs at boot before all others: the agent finishes, or takes back, what a power cut interrupted.

All others are those of ours, and services of the machine's own that read a file of ours: one that they would refuse
is gone before they start.
"""

from __future__ import annotations

from typing import Final

from obstack.agent.wire import UnitEntry
from obstack.model.layout import Layout, Manager
from obstack.render.emit import unit_bytes, unit_command, unit_quoted
from obstack.render.hardening import fences, limits
from obstack.render.service import Sandbox
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "observability-recover"
FILE: Final = f"units/{NAME}.service"
SANDBOX: Final = Sandbox(
    # To systemd alone.
    families=("AF_UNIX",),
    # It puts back files, data and users, whoever they belong to, and mends the audit log, which may only grow; and
    # nothing else of what root may do.
    capabilities=("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_LINUX_IMMUTABLE"),
    calls=("@chown",),
    writable=("/etc", "/run", "/var"),
)


def render_recovery(layout: Layout, parts: Rendering) -> Rendering:
    """Given all that is rendered for a node, return its recovery unit; a private root has no boot to recover at."""
    if layout.manager is not Manager.SYSTEMD:
        return Rendering()
    own = [f"{service.name}.service" for service in parts.services]
    own += [unit.name for unit in parts.units if unit.file.endswith(".timer") and unit.enabled]
    lent = [unit.name for unit in parts.units if not unit.file and unit.name.endswith(".service")]
    before = " ".join(dict.fromkeys((*own, *lent)))
    content = unit_bytes(
        {
            "Unit": [
                ("Description", "Finish or take back an interrupted change of the observability stack"),
                ("RequiresMountsFor", unit_quoted(layout.state)),
                ("ConditionPathExists", unit_quoted(layout.agent)),
                ("Before", before),
            ],
            "Service": [
                ("Type", "oneshot"),
                ("ExecStart", unit_command((layout.python, "-I", layout.agent, "boot-recover"))),
                ("TimeoutStartSec", "120s"),
                *limits("512M", 64, 4096),
                *fences(SANDBOX, "root"),
            ],
            "Install": [("WantedBy", "multi-user.target")],
        }
    )
    return Rendering(
        files=(RenderedFile(FILE, content),),
        units=(UnitEntry(name=NAME, file=FILE, boot_only=True),),
    )
