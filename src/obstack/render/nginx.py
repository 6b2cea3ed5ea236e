"""nginx, the front door: TLS, authentication, and one path to each component behind it.

The configuration names its own files relative to itself, and everything it writes relative to its prefix. So the check
of a staged tree needs neither the live paths nor a variant of the file: it only gives another prefix.
"""

from __future__ import annotations

import hashlib
from typing import Final

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, LinkEntry, ReloadEntry
from obstack.catalog import capabilities
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render import targets
from obstack.render.emit import Directive, Expression, directive, nginx_bytes
from obstack.render.materials import Materials
from obstack.render.page import Door, page_bytes
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import whole_seconds
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "nginx"
FOLDER: Final = "etc/nginx"
HTPASSWD: Final = f"{FOLDER}/htpasswd"
CREDENTIALS: Final = f"{FOLDER}/gate-credentials"
AUTHORITY: Final = f"{FOLDER}/authority.pem"
# The intermediate profile: forward secrecy and authenticated encryption only, for every client of the last ten years.
CIPHERS: Final = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
TYPES: Final = (("text/html", "html"),)


def render_nginx(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return what the front door contributes to the node."""
    programs = Programs(layout, materials.artifacts[NAME])
    account = owner(layout, NAME)
    version = materials.artifacts[NAME].version
    digest = _digest(_configuration(site, layout, version, ""), materials)
    arguments = ("-c", f"{{tree}}/{FOLDER}/nginx.conf", "-p", "{scratch}/", "-e", "stderr")
    return Rendering(
        files=_files(site, layout, materials, _configuration(site, layout, version, digest)),
        directories=(DirectoryEntry(layout.data(NAME), 0o700, account, account),),
        links=(LinkEntry(layout.etc(NAME), FOLDER),),
        users=users(layout, NAME),
        services=(_service(site, layout, programs),),
        checks=(programs.check("nginx configuration", "nginx", "-t", "-q", *arguments),),
        gates=(_gate(site, digest),),
        artifacts=(programs.artifact.entry,),
    )


def _digest(configuration: list[Directive], materials: Materials) -> str:
    """Return the digest of what a reload makes effective; the key is left out, for the digest is shown to everybody."""
    return hashlib.sha256(nginx_bytes(configuration) + materials.certificate.chain.encode()).hexdigest()


def _files(
    site: Site, layout: Layout, materials: Materials, configuration: list[Directive]
) -> tuple[RenderedFile, ...]:
    group = owner(layout, NAME)
    logins = "".join(f"{login.name}:{login.hash}\n" for login in (*materials.logins, materials.gate))
    credentials = f"{materials.gate.name}:{materials.gate.password.reveal()}"
    certificate = materials.certificate
    doors = (
        Door("/prometheus/", "Prometheus", "metrics, rules and alerts"),
        Door("/alertmanager/", "Alertmanager", "alerts that are firing, and silences"),
    )
    return (
        RenderedFile(f"{FOLDER}/nginx.conf", nginx_bytes(configuration)),
        RenderedFile(f"{FOLDER}/www/index.html", page_bytes(site.name, site.environment, doors)),
        RenderedFile(f"{FOLDER}/tls/certificate.pem", certificate.chain.encode()),
        RenderedFile(f"{FOLDER}/tls/key.pem", certificate.key.reveal().encode(), 0o640, "root", group, secret=True),
        RenderedFile(AUTHORITY, certificate.authority.encode()),
        RenderedFile(HTPASSWD, logins.encode(), 0o640, "root", group, secret=True),
        RenderedFile(CREDENTIALS, credentials.encode(), 0o600, secret=True),
    )


def _configuration(site: Site, layout: Layout, version: str, digest: str) -> list[Directive]:
    private = layout.manager is Manager.SUPERVISOR
    return [
        # On a server nginx starts as its own user; a private root may be run by root, whose files its workers read.
        *([directive("user", "root")] if private else []),
        directive("daemon", "off"),
        directive("worker_processes", "auto"),
        directive("worker_shutdown_timeout", "10s"),
        directive("pid", "nginx.pid"),
        directive("error_log", "stderr", "notice" if private else "warn"),
        directive("events", block=[directive("worker_connections", "1024")]),
        directive(
            "http",
            block=[
                *_paths_and_logs(private),
                *_protocol(),
                _redirect(site, private, digest),
                _door(site, layout, version, digest),
            ],
        ),
    ]


def _paths_and_logs(private: bool) -> list[Directive]:
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    # A private root is captured by its supervisor; on a server the lines go to the journal, as each unit's own do.
    target = "/dev/stdout" if private else "syslog:server=unix:/dev/log,nohostname,tag=nginx,severity=info"
    return [
        *(directive(f"{name}_temp_path", f"{name}_temp") for name in temporary),
        directive("access_log", target),
        directive("types", block=[directive(kind, suffix) for kind, suffix in TYPES]),
        directive("default_type", "application/octet-stream"),
    ]


def _protocol() -> list[Directive]:
    return [
        directive("server_tokens", "off"),
        directive("client_max_body_size", "4m"),
        directive("ssl_protocols", "TLSv1.2", "TLSv1.3"),
        directive("ssl_ciphers", CIPHERS),
        directive("ssl_prefer_server_ciphers", "off"),
        directive("ssl_session_cache", "shared:tls:10m"),
        directive("ssl_session_timeout", "1d"),
        directive("ssl_session_tickets", "off"),
        directive(
            "map",
            Expression("$http_upgrade"),
            Expression("$connection_upgrade"),
            block=[directive("default", "upgrade"), directive('""', "")],
        ),
    ]


def _address(port: int, private: bool) -> str:
    return f"127.0.0.1:{port}" if private else str(port)


def _redirect(site: Site, private: bool, digest: str) -> Directive:
    return directive(
        "server",
        block=[
            directive("listen", _address(site.front_door.http_port, private), "default_server"),
            directive("server_name", site.domain),
            _proof(digest),
            # Our own name, not the one asked for: a foreign Host header must not send anybody elsewhere.
            directive("return", "308", Expression(f"{targets.public_url(site)}$request_uri")),
        ],
    )


def _door(site: Site, layout: Layout, version: str, digest: str) -> Directive:
    private = layout.manager is Manager.SUPERVISOR
    listen = [_address(site.front_door.https_port, private), "ssl"]
    http2 = [directive("http2", "on")]
    if not capabilities.nginx_http2_directive(version):
        listen.append("http2")
        http2 = []
    return directive(
        "server",
        block=[
            directive("listen", *listen, "default_server"),
            *http2,
            directive("server_name", site.domain),
            directive("ssl_certificate", "tls/certificate.pem"),
            directive("ssl_certificate_key", "tls/key.pem"),
            directive("auth_basic", "observability"),
            directive("auth_basic_user_file", "htpasswd"),
            *_headers(private, "frame-ancestors 'self'", digest),
            directive(
                "location",
                "/",
                block=[
                    directive("root", f"{layout.etc(NAME)}/www"),
                    *_headers(private, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'", digest),
                ],
            ),
            _backend("/prometheus/", site.prometheus.port),
            _backend("/alertmanager/", site.alertmanager.port),
        ],
    )


def _proof(digest: str) -> Directive:
    # nginx goes on with its old configuration when it cannot load a new one; the gate asks which one answers.
    return directive("add_header", "Observability-Configuration", digest, "always")


def _headers(private: bool, policy: str, digest: str) -> list[Directive]:
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Content-Security-Policy": policy,
    }
    if not private:
        # Browsers keep this by host name: under a private root's `localhost` it would break other programs' pages.
        headers["Strict-Transport-Security"] = "max-age=63072000"
    return [*(directive("add_header", name, value, "always") for name, value in headers.items()), _proof(digest)]


def _backend(path: str, port: int) -> Directive:
    headers = {
        "Host": "$http_host",
        "X-Forwarded-For": "$remote_addr",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-User": "$remote_user",
        "Upgrade": "$http_upgrade",
        "Connection": "$connection_upgrade",
        # The door's password is nobody's business behind it.
        "Authorization": "",
    }
    return directive(
        "location",
        path,
        block=[
            directive("proxy_pass", f"http://127.0.0.1:{port}/"),
            directive("proxy_http_version", "1.1"),
            directive("proxy_read_timeout", "120s"),
            *(directive("proxy_set_header", name, Expression(value)) for name, value in headers.items()),
        ],
    )


def _service(site: Site, layout: Layout, programs: Programs) -> Service:
    data = layout.data(NAME)
    command = (
        programs.live("nginx"),
        "-c",
        f"{layout.etc(NAME)}/nginx.conf",
        "-p",
        f"{data}/",
        "-e",
        "stderr",
    )
    low = min(site.front_door.http_port, site.front_door.https_port) < 1024
    return Service(
        name=NAME,
        description="nginx, the front door",
        argv=command,
        user=NAME,
        data=data,
        preflight=((*command, "-t", "-q"),),
        libraries=programs.libraries,
        after=("prometheus", "alertmanager"),
        inputs=(
            # Read anew for each request, or only by the gate.
            *(InputEntry(source, "none") for source in (f"{FOLDER}/www/", HTPASSWD, CREDENTIALS, AUTHORITY)),
            InputEntry(f"{FOLDER}/", "reload"),
            programs.input,
        ),
        reload=ReloadEntry("signal", "HUP"),
        sandbox=Sandbox(
            families=("AF_INET", "AF_INET6", "AF_UNIX"),
            capabilities=("CAP_NET_BIND_SERVICE",) if low else (),
        ),
        stop_timeout_s=20,
        stop_signal="QUIT",
    )


def _gate(site: Site, digest: str) -> GateEntry:
    params = {
        "address": "127.0.0.1",
        "https_port": site.front_door.https_port,
        "http_port": site.front_door.http_port,
        "host": site.domain,
        "authority": AUTHORITY,
        "credentials": CREDENTIALS,
        "paths": ["/", "/prometheus/-/ready", "/alertmanager/-/ready"],
        "digest": digest,
    }
    return GateEntry(
        "the front door lets in whom it should", "front-door", NAME, params, whole_seconds(site.gates.deadline)
    )
