"""What proves to an authority that this server has its name, and what puts in force the certificate that it then signs.

certbot of the distribution writes its answers into a folder, from which the front door serves them on the port for
http. Its own timer renews; a hook of ours, a link in its folder of hooks, then runs this program, so that the new
certificate goes through a transaction.
"""

from __future__ import annotations

import shlex
from typing import Final

from obstack.agent.wire import DirectoryEntry, LinkEntry
from obstack.model.door_certificate import LINEAGE
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.door_table import CHALLENGES
from obstack.render.emit import Directive, directive, text_bytes, unit_bytes, unit_command
from obstack.render.materials import Materials
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "observability-acme"
FOLDER: Final = f"etc/{NAME}"
HOOK: Final = "/etc/letsencrypt/renewal-hooks/deploy/observability"
LIVE: Final = f"/etc/letsencrypt/live/{LINEAGE}"
DROP_IN: Final = "/etc/systemd/system/certbot.service.d/observability.conf"
SYSTEM_STORE: Final = "/etc/ssl/certs/ca-certificates.crt"


def webroot(layout: Layout) -> str:
    """Given a layout, return the folder that challenges are answered from; certbot writes into it as root."""
    return layout.data(NAME)


def challenge_location(site: Site, layout: Layout) -> tuple[Directive, ...]:
    """Given a site, return what answers challenges on the port for http; nothing where no authority asks any."""
    if site.front_door.certificate.mode != "acme":
        return ()
    return (
        directive(
            "location",
            "^~",
            CHALLENGES,
            block=[directive("root", webroot(layout)), directive("default_type", "text/plain")],
        ),
    )


def render_challenge(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return the folder of the challenges and certbot's hook; nothing in another mode."""
    if site.front_door.certificate.mode != "acme" or not materials.deploy:
        return Rendering()
    files = [RenderedFile(f"{FOLDER}/deploy-hook", _hook(materials.deploy), 0o755)]
    links = [LinkEntry(f"{layout.root}{HOOK}", f"{FOLDER}/deploy-hook")]
    if materials.acme_authority:
        files += [
            RenderedFile(f"{FOLDER}/authority.pem", materials.acme_authority.encode()),
            RenderedFile(f"{FOLDER}/certbot.conf", _trust(layout)),
        ]
        links += [
            LinkEntry(layout.etc(NAME), FOLDER),
            LinkEntry(f"{layout.root}{DROP_IN}", f"{FOLDER}/certbot.conf"),
        ]
    return Rendering(
        files=tuple(files), directories=(DirectoryEntry(webroot(layout), 0o755, "root", "root"),), links=tuple(links)
    )


def _hook(command: tuple[str, ...]) -> bytes:
    return text_bytes(
        (
            "#!/bin/sh",
            "# certbot runs this for each certificate that it has renewed; ours goes through a transaction.",
            f'[ "$RENEWED_LINEAGE" = {shlex.quote(LIVE)} ] || exit 0',
            "# certbot's own unit has no home.",
            'export HOME="${HOME:-/root}"',
            f"exec {shlex.join(command)}",
        )
    )


def _trust(layout: Layout) -> bytes:
    """What lets certbot's timer know an authority that only this site knows, beside all that the machine trusts."""
    both = f"/run/{NAME}/authorities.pem"
    own = f"{layout.etc(NAME)}/authority.pem"
    # Put together at each start, so that what the machine trusts is as it is then.
    gather = ("/bin/sh", "-c", f'exec cat "$@" >{both}', "sh", SYSTEM_STORE, own)
    return unit_bytes(
        {
            "Service": [
                ("RuntimeDirectory", NAME),
                ("Environment", f"REQUESTS_CA_BUNDLE={both}"),
                ("ExecStartPre", unit_command(gather)),
            ]
        }
    )
