"""A monitored host ships its journal to the server, as the host that its certificate names.

The program is the agent's own: Debian's systemd-journal-upload repeats the last entry at each start with nothing to
tell it by, ends whenever the server is away, and would be one more package with its libraries on every host.
"""

from __future__ import annotations

from typing import Final

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, LinkEntry
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.materials import HostMaterials
from obstack.render.programs import users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import whole_seconds
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "journal-upload"
FOLDER: Final = f"etc/{NAME}"
READERS: Final = "systemd-journal"
"""The group that may read the machine's journal; systemd makes it."""


def upload_url(site: Site) -> str:
    """Given a site with a server address, return where the server takes journals."""
    address = site.server.address or ""
    return f"https://{f'[{address}]' if ':' in address else address}:{site.logs.receive_port}/upload"


def render_journal_upload(site: Site, host: str, layout: Layout, materials: HostMaterials) -> Rendering:
    """Given the site, a host's name and its settled materials, return what ships the host's journal, if it is to be."""
    if not site.hosts[host].logs:
        return Rendering()
    certificate = materials.certificate
    return Rendering(
        files=(
            RenderedFile(f"{FOLDER}/certificate.pem", certificate.chain.encode()),
            RenderedFile(f"{FOLDER}/key.pem", certificate.key.reveal().encode(), 0o640, "root", NAME, secret=True),
            RenderedFile(f"{FOLDER}/authority.pem", certificate.authority.encode()),
        ),
        directories=(DirectoryEntry(layout.data(NAME), 0o700, NAME, NAME),),
        links=(LinkEntry(layout.etc(NAME), FOLDER),),
        users=users(layout, NAME, READERS),
        services=(_service(site, layout),),
        gates=(_gate(site, layout),),
    )


def _service(site: Site, layout: Layout) -> Service:
    data, etc = layout.data(NAME), layout.etc(NAME)
    return Service(
        name=NAME,
        description="Shipping of the journal to the server",
        argv=(
            layout.python,
            "-I",
            layout.agent,
            NAME,
            f"--url={upload_url(site)}",
            f"--certificate={etc}/certificate.pem",
            f"--key={etc}/key.pem",
            f"--authority={etc}/authority.pem",
            f"--position={data}/position",
        ),
        user=NAME,
        data=data,
        # Read anew for each connection, of which none lives longer than an hour.
        inputs=(InputEntry(f"{FOLDER}/", "none"),),
        sandbox=Sandbox(families=("AF_INET", "AF_INET6", "AF_UNIX"), groups=(READERS,)),
        persistent=True,
        stop_timeout_s=10,
    )


def _gate(site: Site, layout: Layout) -> GateEntry:
    params = {
        "url": upload_url(site),
        "certificate": f"{FOLDER}/certificate.pem",
        "key": f"{FOLDER}/key.pem",
        "authority": f"{FOLDER}/authority.pem",
        "position": f"{layout.data(NAME)}/position",
        "journalctl": "/usr/bin/journalctl",
    }
    deadline = whole_seconds(site.gates.deadline)
    return GateEntry("the server takes this host's journal", "journal-shipped", NAME, params, deadline, active=True)
