"""A machine that is an ACME authority (Caddy's), and a server that asks it for the front door's certificate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.sandbox import run_with_network
from machine.server import FOLDER, SETTINGS, Server

DOMAIN: Final = str(SETTINGS["domain"])
NAME: Final = "ca-1"
DIRECTORY: Final = f"https://{NAME}/acme/local/directory"
OTHER_DIRECTORY: Final = f"https://{NAME}:8443/acme/other/directory"
ROOTS: Final = "/var/lib/caddy/.local/share/caddy/pki/authorities"
ROOT: Final = f"{ROOTS}/local/root.crt"
CONFIGURATION: Final = f"""
{{
    admin off
    auto_https disable_redirects
    pki {{
        ca other {{
            name "Other Authority"
        }}
    }}
}}
{NAME} {{
    tls internal
    acme_server
}}
{NAME}:8443 {{
    tls internal
    acme_server {{
        ca other
    }}
}}
"""
STRANGER: Final = """
import http.server


class Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"something else")


http.server.ThreadingHTTPServer(("", 80), Stranger).serve_forever()
"""
"""What answers on the authority's own machine in place of a front door."""


def authority_image(images: ImageStore, minimal: Image) -> Image:
    """Return the image of the authority, built when absent."""

    def prepare(root: Path) -> None:
        install = "apt-get update && apt-get install --yes --no-install-recommends caddy && systemctl disable caddy"
        run_with_network(root, ["sh", "-ec", install])
        (root / "etc/caddy/Caddyfile").write_text(CONFIGURATION)

    return images.derive(minimal, f"{minimal.name}-authority", CONFIGURATION, prepare)


def certbot_image(images: ImageStore, program: Image) -> Image:
    """Return the image of a server on which certbot can be installed without a network, built when absent."""

    def prepare(root: Path) -> None:
        fetch = "apt-get update && apt-get install --yes --no-install-recommends --download-only certbot"
        run_with_network(root, ["sh", "-ec", fetch])

    return images.derive(program, f"{program.name}-certbot", "1", prepare)


class Door:
    """The server with its front door, and the authority beside it."""

    def __init__(self, server: Server, authority: Machine) -> None:
        """Given both machines, put the authority's certificate where the server's configuration names it."""
        self.server, self.machine, self.authority = server, server.machine, authority
        self.start_authority()
        roots = authority.succeed(f"cat {ROOTS}/*/root.crt").stdout
        self.machine.write(f"{FOLDER}/config/tls/authority.pem", roots)
        self.lead(self.machine)
        self.acme()

    def start_authority(self) -> None:
        """Let the authority answer, and return when it does."""
        self.authority.succeed("systemctl start caddy")
        self.authority.wait_until_succeeds(f"test -s {ROOT} && curl -sf --cacert {ROOT} {DIRECTORY} {OTHER_DIRECTORY}")

    def start_stranger(self) -> None:
        """Let something that knows no challenge answer on the authority's machine, and return when it does."""
        self.authority.write("/srv/stranger.py", STRANGER)
        self.authority.succeed("systemd-run --unit=stranger python3 /srv/stranger.py")
        self.authority.wait_until_succeeds("curl -s http://127.0.0.1/")

    def lead(self, machine: Machine, address: str = "") -> None:
        """Let the domain lead to an address, the server's own by default, as one machine sees it."""
        line = f"{address or self.machine.address} {DOMAIN}"
        machine.succeed(f"sed '/ {DOMAIN}$/d' /etc/hosts >/etc/hosts.new; echo '{line}' >>/etc/hosts.new")
        machine.succeed("cat /etc/hosts.new >/etc/hosts")

    def acme(self, directory: str = DIRECTORY, **further: Any) -> None:
        """Let the configuration say that the authority signs, or the other one."""
        self.configure({"mode": "acme", "directory": directory, "authority": "tls/authority.pem"}, **further)

    def configure(self, certificate: Mapping[str, Any], **further: Any) -> None:
        """Let the configuration say whose certificate is shown."""
        self.server.configure(front_door={"certificate": dict(certificate)}, **further)

    def apply(self, code: int = 0) -> Any:
        """Apply, and return the document."""
        return self.server.apply(code)

    def shown(self) -> dict[str, str]:
        """Return subject, issuer, end and fingerprint of what the front door really shows."""
        ask = f"openssl s_client -connect 127.0.0.1:443 -servername {DOMAIN} </dev/null 2>/dev/null"
        told = self.machine.succeed(f"{ask} | openssl x509 -noout -issuer -enddate -fingerprint -sha256").stdout
        return dict(line.split("=", 1) for line in told.splitlines())

    def status(self, code: int = 0) -> dict[str, Any]:
        """Return what `cert status` says of the front door."""
        found: dict[str, Any] = self.server.document("cert", "status", code=code)["front_door"]
        return found

    def asked(self) -> str:
        """Return what certbot has left of its runs: equal texts mean that it did not run."""
        return self.machine.run("stat -c '%n %Y %s' /var/log/letsencrypt/* 2>/dev/null").stdout

    def nginx(self) -> int:
        """Return the process of the front door."""
        return self.machine.main_pid("nginx")
