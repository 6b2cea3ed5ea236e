"""The firewall of a monitored host: a unit that lets only the server reach the exporters' ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from obstack.agent.firewall import FILE
from obstack.agent.paths import FIREWALL_UNIT as UNIT
from obstack.agent.wire import CheckEntry, GateEntry, InputEntry
from obstack.catalog.artifact import Artifact
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.emit import json_bytes
from obstack.render.service import Sandbox, Service
from obstack.render.tree import RenderedFile, Rendering

COMPONENT: Final = "nftables"
IN_FORCE_S: Final = 5
"""Rules do not come right by waiting."""

OTHER_FIREWALLS: Final = ("nftables.service", "ufw.service", "firewalld.service", "netfilter-persistent.service")
"""Each of them clears all tables when it starts, so ours is made after them."""


def render_firewall(
    site: Site, host: str, layout: Layout, artifacts: Mapping[str, Artifact], ports: Sequence[int]
) -> Rendering:
    """Given a host and the ports of its exporters, return the unit that guards them; nothing where none is wanted."""
    if not ports or not site.hosts[host].firewall or site.server.address is None:
        return Rendering()
    tool = artifacts[COMPONENT]
    folder = f"artifacts/{COMPONENT}"
    rules = {
        "addresses": [site.server.address],
        "ports": sorted(set(ports)),
        # Relative to the tree, so that the staged rules are judged by the staged program.
        "nft": f"{folder}/{tool.binaries['nft']}",
        "libraries": [f"{folder}/{path}" for path in tool.libraries],
    }
    return Rendering(
        files=(RenderedFile(FILE, json_bytes(rules)),),
        services=(_service(layout),),
        checks=(
            CheckEntry("firewall rules", (layout.python, "-I", layout.agent, "firewall", "check", f"{{tree}}/{FILE}")),
        ),
        gates=(
            GateEntry("the firewall is in force", "firewall", UNIT, {}, IN_FORCE_S),
            # It waits by itself: one try, and no second one for whoever is cut off.
            GateEntry("the host is still reached", "reachable", UNIT, {}, 0),
        ),
        artifacts=(tool.entry,),
    )


def _service(layout: Layout) -> Service:
    program = (layout.python, "-I", layout.agent, "firewall")
    return Service(
        name=UNIT,
        description="Only the server reaches the exporters",
        argv=(*program, "up", f"{layout.current}/{FILE}"),
        stop=((*program, "down"),),
        oneshot=True,
        user="root",
        follows=OTHER_FIREWALLS,
        inputs=(InputEntry(FILE, "restart"), InputEntry(f"artifact:{COMPONENT}", "none")),
        sandbox=Sandbox(
            families=("AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"),
            # To set rules, for ufw's older tool also raw; and to see by which program a port is held.
            capabilities=("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE"),
            host_processes=True,
            writable=(layout.state, "/run", "-/etc/ufw"),
        ),
        start_timeout_s=90,
        stop_timeout_s=90,
    )
