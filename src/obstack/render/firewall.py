"""The firewall of a node: a unit that lets in what is meant to be reached.

On a monitored host that is the server, to the ports of the exporters, and nothing else is judged. On the server it is
the front door, the hosts where they ship their journals, SSH (which the agent finds), and what the site admits besides;
all else is shut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from obstack.agent.firewall import FILE
from obstack.agent.openings import Opening, collapse, encode, merged
from obstack.agent.paths import FIREWALL_UNIT as UNIT
from obstack.agent.wire import CheckEntry, GateEntry, InputEntry, LinkEntry, ReloadEntry
from obstack.catalog.artifact import Artifact
from obstack.model.front_door import FrontDoor
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render.emit import json_bytes
from obstack.render.journal_receive import shipping_hosts
from obstack.render.service import Sandbox, Service
from obstack.render.tree import RenderedFile, Rendering

COMPONENT: Final = "nftables"
IN_FORCE_S: Final = 5
"""Rules do not come right by waiting."""

OTHER_FIREWALLS: Final = ("nftables.service", "ufw.service", "firewalld.service", "netfilter-persistent.service")
"""Each of them clears all tables when it starts, so ours is made after them."""

MOVERS: Final = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket", *OTHER_FIREWALLS)
"""Units of the machine after whose start our rules may be gone, or SSH be served at another port."""

KEEPER: Final = f"{UNIT}-keep"
KEEPER_FILE: Final = f"units/{KEEPER}.service"


def render_firewall(
    site: Site, host: str, layout: Layout, artifacts: Mapping[str, Artifact], ports: Sequence[int]
) -> Rendering:
    """Given a host and the ports of its exporters, return the unit that guards them; nothing where none is wanted."""
    if not ports or not site.hosts[host].firewall or site.server.address is None:
        return Rendering()
    openings = [Opening("tcp", port, (site.server.address,), "exporter") for port in ports]
    return _rendering(layout, artifacts, openings, closed=False)


def render_server_firewall(site: Site, layout: Layout, artifacts: Mapping[str, Artifact]) -> Rendering:
    """Given the site, return the unit that shuts all but what is declared; nothing where none is wanted."""
    if not guards_server(site, layout):
        return Rendering()
    return _rendering(layout, artifacts, server_openings(site), closed=True)


def guards_server(site: Site, layout: Layout) -> bool:
    """Given the site and the server's layout, return whether the server has a firewall of ours."""
    return layout.manager is Manager.SYSTEMD and site.server.firewall.enabled


def server_openings(site: Site) -> tuple[Opening, ...]:
    """Given the site, return what its server lets in beside SSH, in order."""
    openings = _door(site.front_door)
    senders = sorted({site.hosts[name].address for name in shipping_hosts(site)})
    if senders:
        openings.append(Opening("tcp", site.logs.receive_port, tuple(senders), "logs of the hosts"))
    openings += [
        Opening(entry.protocol, entry.port, collapse(entry.sources or ()), entry.comment or "admitted")
        for entry in site.server.firewall.admit
    ]
    return merged(openings)


def _door(door: FrontDoor) -> list[Opening]:
    if not door.plain_http:
        return [Opening("tcp", port, (), "front door") for port in (door.https_port, door.http_port)]
    proxies = collapse(door.trusted_proxies)
    # An opening without sources would be one for everybody.
    return [Opening("tcp", door.http_port, proxies, "front door, for its proxies")] if proxies else []


def _rendering(
    layout: Layout, artifacts: Mapping[str, Artifact], openings: Sequence[Opening], *, closed: bool
) -> Rendering:
    tool = artifacts[COMPONENT]
    folder = f"artifacts/{COMPONENT}"
    rules = {
        "closed": closed,
        "openings": [encode(opening) for opening in merged(openings)],
        # Relative to the tree, so that the staged rules are judged by the staged program.
        "nft": f"{folder}/{tool.binaries['nft']}",
        "libraries": [f"{folder}/{path}" for path in tool.libraries],
    }
    return Rendering(
        files=(RenderedFile(FILE, json_bytes(rules)),),
        links=tuple(LinkEntry(f"/etc/systemd/system/{unit}.wants/{KEEPER}.service", KEEPER_FILE) for unit in MOVERS),
        services=(_service(layout, closed=closed), _keeper(layout)),
        checks=(
            CheckEntry("firewall rules", (layout.python, "-I", layout.agent, "firewall", "check", f"{{tree}}/{FILE}")),
        ),
        gates=(
            GateEntry("the firewall is in force", "firewall", UNIT, {}, IN_FORCE_S),
            # It waits by itself: one try, and no second one for whoever is cut off.
            GateEntry(f"the {'server' if closed else 'host'} is still reached", "reachable", UNIT, {}, 0),
        ),
        artifacts=(tool.entry,),
    )


def _service(layout: Layout, *, closed: bool) -> Service:
    program = (layout.python, "-I", layout.agent, "firewall")
    return Service(
        name=UNIT,
        description="Nobody reaches this machine but by what is declared"
        if closed
        else "Only the server reaches the exporters",
        argv=(*program, "up", f"{layout.current}/{FILE}"),
        stop=((*program, "down"),),
        oneshot=True,
        user="root",
        follows=OTHER_FIREWALLS,
        inputs=(InputEntry(FILE, "reload"), InputEntry(f"artifact:{COMPONENT}", "none")),
        # The new rules take the place of the old ones at once; a restart would leave the machine open in between.
        reload=ReloadEntry("again", ""),
        reloads_with=MOVERS,
        sandbox=_sandbox(layout),
        start_timeout_s=90,
        stop_timeout_s=90,
    )


def _keeper(layout: Layout) -> Service:
    return Service(
        name=KEEPER,
        description="Put the firewall right after another one, or SSH, was started",
        argv=(layout.python, "-I", layout.agent, "firewall", "keep", f"{layout.current}/{FILE}"),
        oneshot=True,
        passing=True,
        persistent=True,
        user="root",
        follows=(*MOVERS, f"{UNIT}.service"),
        sandbox=_sandbox(layout),
        start_timeout_s=90,
        stop_timeout_s=90,
    )


def _sandbox(layout: Layout) -> Sandbox:
    return Sandbox(
        families=("AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"),
        # To set rules, for ufw's older tool also raw; and to see by which program a port is held.
        capabilities=("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE"),
        host_processes=True,
        writable=(layout.state, "/run", "-/etc/ufw"),
    )
