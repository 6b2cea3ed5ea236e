"""The TLS proxy of a host's exporters that cannot speak TLS themselves: nginx with one server block for each.

Nobody but the holder of a certificate of clients.pem gets further than the handshake, and then to one path only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from obstack.agent.wire import DirectoryEntry, InputEntry, ReloadEntry
from obstack.render.emit import Directive, Expression, directive, nginx_bytes
from obstack.render.nginx_tls import CIPHERS
from obstack.render.place import FOLDER, Place
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Sandbox, Service
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "exporter-proxy"
ARTIFACT: Final = "nginx"
CONFIGURATION: Final = f"{FOLDER}/{NAME}/nginx.conf"
HEADER: Final = "Observability-Configuration"


@dataclass(frozen=True)
class Backend:
    """An exporter behind the proxy: its public port, its own one on loopback, and the path of its metrics."""

    port: int
    backend_port: int
    path: str


def render_exporter_proxy(place: Place, backends: Sequence[Backend]) -> Rendering:
    """Given a host and the exporters that need it, return the proxy; without any, nothing."""
    if not backends:
        return Rendering()
    layout = place.layout
    programs = Programs(layout, place.materials.artifacts[ARTIFACT])
    account = owner(layout, NAME)
    content = nginx_bytes(_configuration(place, backends, proxy_digest(place, backends)))
    arguments = ("-c", f"{{tree}}/{CONFIGURATION}", "-p", "{scratch}/", "-e", "stderr")
    return Rendering(
        files=(RenderedFile(CONFIGURATION, content), *place.tls_files(NAME, NAME)),
        directories=(DirectoryEntry(layout.data(NAME), 0o700, account, account),),
        users=users(layout, NAME),
        services=(_service(place, programs),),
        checks=(programs.check("exporter proxy configuration", "nginx", "-t", "-q", *arguments),),
        artifacts=(programs.artifact.entry,),
    )


def proxy_digest(place: Place, backends: Sequence[Backend]) -> str:
    """Given a host and the exporters behind the proxy, return the digest of what a reload makes effective."""
    materials = place.materials
    trusted = (materials.certificate.chain, materials.scrape_authority, materials.gate.chain)
    content = nginx_bytes(_configuration(place, backends, ""))
    return hashlib.sha256(content + "".join(trusted).encode()).hexdigest()


def _configuration(place: Place, backends: Sequence[Backend], digest: str) -> list[Directive]:
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return [
        directive("daemon", "off"),
        directive("worker_processes", "1"),
        directive("worker_shutdown_timeout", "10s"),
        directive("pid", "nginx.pid"),
        directive("error_log", "stderr", "warn"),
        directive("events", block=[directive("worker_connections", "512")]),
        directive(
            "http",
            block=[
                *(directive(f"{name}_temp_path", f"{name}_temp") for name in temporary),
                directive("access_log", "off"),
                directive("server_tokens", "off"),
                directive("ssl_protocols", "TLSv1.2", "TLSv1.3"),
                directive("ssl_ciphers", CIPHERS),
                directive("ssl_certificate", "tls/certificate.pem"),
                directive("ssl_certificate_key", "tls/key.pem"),
                directive("ssl_client_certificate", "tls/clients.pem"),
                directive("ssl_verify_client", "on"),
                directive("ssl_session_tickets", "off"),
                # nginx goes on with its old configuration when it cannot load a new one; the gate asks which answers.
                directive("add_header", HEADER, digest, "always"),
                *(_server(place, backend) for backend in backends),
            ],
        ),
    ]


def _server(place: Place, backend: Backend) -> Directive:
    # A machine may have no IPv6 at all, where nginx could not even start; one with such an address has it.
    six = ":" in place.host.address
    listen = [f"[::]:{backend.port}", "ssl", "ipv6only=off"] if six else [str(backend.port), "ssl"]
    location = directive(
        "location",
        "=",
        backend.path,
        block=[
            directive("proxy_pass", f"http://127.0.0.1:{backend.backend_port}"),
            directive("proxy_read_timeout", "120s"),
            directive("proxy_set_header", "Host", Expression("$proxy_host")),
        ],
    )
    return directive(
        "server",
        block=[
            directive("listen", *listen),
            location,
            directive("location", "/", block=[directive("return", "404")]),
        ],
    )


def _service(place: Place, programs: Programs) -> Service:
    data = place.layout.data(NAME)
    command = (programs.live("nginx"), "-c", f"{place.etc(NAME)}/nginx.conf", "-p", f"{data}/", "-e", "stderr")
    return Service(
        name=NAME,
        description="TLS proxy of the exporters",
        argv=command,
        user=NAME,
        data=data,
        preflight=((*command, "-t", "-q"),),
        libraries=programs.libraries,
        inputs=(InputEntry(f"{FOLDER}/{NAME}/", "reload"), programs.input),
        reload=ReloadEntry("signal", "HUP"),
        sandbox=Sandbox(families=("AF_INET", "AF_INET6", "AF_UNIX")),
        memory_max="64M",
        stop_timeout_s=20,
        stop_signal="QUIT",
    )
