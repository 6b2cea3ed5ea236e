"""Logs by the systemd journal.

On a server it is the machine's own journal, told to keep what the site wants kept. Under a private root a
journal-remote on loopback writes a journal of its own, and the journal bridge feeds it the programs' captured output.
"""

from __future__ import annotations

from typing import Final

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, LinkEntry, UnitEntry
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render.emit import unit_bytes
from obstack.render.materials import Materials
from obstack.render.programs import Programs, owner
from obstack.render.service import Service
from obstack.render.sizes import megabytes, whole_seconds
from obstack.render.tree import RenderedFile, Rendering

REMOTE: Final = "journal-remote"
BRIDGE: Final = "journal-bridge"
SYSTEM: Final = "systemd-journald"
DROP_IN: Final = "etc/journald/observability.conf"
DROP_IN_FOLDER: Final = "/etc/systemd/journald.conf.d"
GATE_NAME: Final = "a log line is found again"


def render_journal(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return what the log engine contributes to the node."""
    if layout.manager is Manager.SYSTEMD:
        return _system(site, layout)
    return _private(site, layout, materials)


def _system(site: Site, layout: Layout) -> Rendering:
    drop_in = unit_bytes(
        {
            "Journal": [
                ("Storage", "persistent"),
                ("SystemMaxUse", f"{megabytes(site.logs.retention_size)}M"),
                ("MaxRetentionSec", f"{whole_seconds(site.logs.retention_time)}s"),
            ]
        }
    )
    folder = f"{layout.root}{DROP_IN_FOLDER}"
    return Rendering(
        files=(RenderedFile(DROP_IN, drop_in),),
        directories=(DirectoryEntry(folder, 0o755, data=False),),
        links=(LinkEntry(f"{folder}/observability.conf", DROP_IN),),
        units=(UnitEntry(name=SYSTEM, file="", inputs=(InputEntry(DROP_IN, "restart"),)),),
        gates=(_gate(site, SYSTEM, ["/usr/bin/journalctl"], {}, "system", ""),),
    )


def _private(site: Site, layout: Layout, materials: Materials) -> Rendering:
    programs = Programs(layout, materials.artifacts[REMOTE])
    data, bridge_data = layout.data(REMOTE), layout.data(BRIDGE)
    endpoint = f"http://127.0.0.1:{site.logs.port}"
    remote = Service(
        name=REMOTE,
        description="Journal of the programs' output",
        argv=(
            programs.live("systemd-journal-remote"),
            f"--listen-http=127.0.0.1:{site.logs.port}",
            "--split-mode=none",
            f"--output={data}/remote.journal",
        ),
        user=REMOTE,
        data=data,
        libraries=programs.libraries,
        inputs=(programs.input,),
        stop_timeout_s=10,
    )
    bridge = Service(
        name=BRIDGE,
        description="Bridge from captured output to the journal",
        argv=(
            layout.python,
            "-I",
            layout.agent,
            BRIDGE,
            f"--logs={layout.root}/var/log",
            f"--positions={bridge_data}/positions",
            f"--endpoint={endpoint}",
            f"--journal={data}",
            f"--journalctl={programs.live('journalctl')}",
            f"--libraries={':'.join(programs.libraries)}",
            f"--maximum-size={megabytes(site.logs.retention_size)}M",
            f"--maximum-age={whole_seconds(site.logs.retention_time)}s",
        ),
        user=BRIDGE,
        data=bridge_data,
        after=(REMOTE,),
        stop_timeout_s=10,
    )
    environment = {"LD_LIBRARY_PATH": ":".join(programs.libraries)} if programs.libraries else {}
    account = owner(layout, REMOTE)
    return Rendering(
        directories=tuple(DirectoryEntry(path, 0o700, account, account) for path in (data, bridge_data)),
        services=(remote, bridge),
        gates=(_gate(site, REMOTE, [programs.live("journalctl")], environment, data, endpoint),),
        artifacts=(programs.artifact.entry,),
    )


def _gate(
    site: Site, unit: str, journalctl: list[str], environment: dict[str, str], journal: str, endpoint: str
) -> GateEntry:
    params = {"journalctl": journalctl, "environment": environment, "journal": journal, "endpoint": endpoint}
    return GateEntry(GATE_NAME, "log-line", unit, params, whole_seconds(site.gates.deadline), active=True)
