"""nginx, the front door: TLS, authentication, and one path to each component behind it.

The configuration names its own files relative to itself, and everything it writes relative to its prefix. So the check
of a staged tree needs neither the live paths nor a variant of the file: it only gives another prefix.
"""

from __future__ import annotations

import hashlib
from typing import Final

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, LinkEntry, ReloadEntry
from obstack.model.grafana import SignIn
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render.emit import Directive, directive, nginx_bytes
from obstack.render.materials import Materials
from obstack.render.nginx_access import access_files, access_maps, known_bytes
from obstack.render.nginx_headers import header_maps
from obstack.render.nginx_limits import limit_maps, proxy_directives, strangers
from obstack.render.nginx_names import AUTHORITY, CREDENTIALS, FOLDER, HTPASSWD, NAME
from obstack.render.nginx_routes import door_server, http_server, proxy_maps
from obstack.render.nginx_tls import certificate_files, tls_profile
from obstack.render.page import Door, page_bytes
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import whole_seconds
from obstack.render.tree import RenderedFile, Rendering

TYPES: Final = (("text/html", "html"),)


def render_nginx(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return what the front door contributes to the node."""
    programs = Programs(layout, materials.artifacts[NAME])
    account = owner(layout, NAME)
    digest = _digest(site, _configuration(site, layout, materials, ""), materials)
    arguments = ("-c", f"{{tree}}/{FOLDER}/nginx.conf", "-p", "{scratch}/", "-e", "stderr")
    return Rendering(
        files=_files(site, layout, materials, _configuration(site, layout, materials, digest)),
        directories=(DirectoryEntry(layout.data(NAME), 0o700, account, account),),
        links=(LinkEntry(layout.etc(NAME), FOLDER),),
        users=users(layout, NAME),
        services=(_service(site, layout, programs),),
        checks=(programs.check("nginx configuration", "nginx", "-t", "-q", *arguments),),
        gates=(_gate(site, digest, materials),),
        artifacts=(programs.artifact.entry,),
    )


def _digest(site: Site, configuration: list[Directive], materials: Materials) -> str:
    """Return the digest of what a reload makes effective; the key is left out, for the digest is shown to everybody."""
    content = nginx_bytes(configuration) + known_bytes(site, materials)
    return hashlib.sha256(content + materials.certificate.chain.encode()).hexdigest()


def _files(
    site: Site, layout: Layout, materials: Materials, configuration: list[Directive]
) -> tuple[RenderedFile, ...]:
    group = owner(layout, NAME)
    doors = (
        Door("/prometheus/consoles/fleet.html", "Fleet", "machines, alerts and dashboards"),
        *([Door("/grafana/", "Grafana", "dashboards")] if site.runs_grafana else []),
        Door("/prometheus/", "Prometheus", "metrics, rules and alerts"),
        Door("/alertmanager/", "Alertmanager", "alerts that are firing, and silences"),
    )
    return (
        RenderedFile(f"{FOLDER}/nginx.conf", nginx_bytes(configuration)),
        RenderedFile(f"{FOLDER}/www/index.html", page_bytes(site.name, site.environment, doors)),
        *(() if site.front_door.plain_http else certificate_files(materials.certificate, group)),
        *access_files(site, materials, group),
    )


def _configuration(site: Site, layout: Layout, materials: Materials, digest: str) -> list[Directive]:
    private = layout.manager is Manager.SUPERVISOR
    version, gate = materials.artifacts[NAME].version, materials.gate.name
    return [
        # On a server nginx starts as its own user; a private root may be run by root, whose files its workers read.
        *([directive("user", "root")] if private else []),
        directive("daemon", "off"),
        directive("worker_processes", "auto"),
        directive("worker_shutdown_timeout", "10s"),
        directive("pid", "nginx.pid"),
        directive("error_log", "stderr", "notice" if private else "warn"),
        directive("events", block=[directive("worker_connections", "2048")]),
        directive(
            "http",
            block=[
                *_paths_and_logs(private),
                directive("server_tokens", "off"),
                # Where nginx leads elsewhere by itself, it does not say under which name and port it was reached.
                directive("absolute_redirect", "off"),
                # Nothing is said of a request before its route is known.
                directive("uninitialized_variable_warn", "off"),
                directive("map_hash_bucket_size", "256"),
                directive("map_hash_max_size", "8192"),
                *access_maps(site, gate),
                *limit_maps(),
                *header_maps(),
                *proxy_maps(),
                *proxy_directives(site.front_door.trusted_proxies),
                *_servers(site, layout, version, digest),
            ],
        ),
    ]


def _servers(site: Site, layout: Layout, version: str, digest: str) -> list[Directive]:
    door = door_server(site, layout, version, digest)
    if site.front_door.plain_http:
        return [strangers(site.front_door.trusted_proxies), door]
    return [*tls_profile(), http_server(site, layout, digest), door]


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
        after=("prometheus", "alertmanager", *(["grafana-server"] if site.runs_grafana else [])),
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
            groups=("grafana",) if site.runs_grafana else (),
        ),
        stop_timeout_s=20,
        stop_signal="QUIT",
    )


def _gate(site: Site, digest: str, materials: Materials) -> GateEntry:
    params = {
        "address": "127.0.0.1",
        "https_port": site.front_door.https_port,
        "http_port": site.front_door.http_port,
        "host": site.domain,
        "authority": AUTHORITY if materials.certificate.authority else "",
        "credentials": CREDENTIALS,
        "paths": ["/", "/prometheus/-/ready", "/alertmanager/-/ready", *_own_door(site)],
        # The gate's account is a viewer's.
        "plain": site.front_door.plain_http,
        "refused": ["/alertmanager/api/v2/silences"],
        "digest": digest,
    }
    return GateEntry(
        "the front door lets in whom it should", "front-door", NAME, params, whole_seconds(site.gates.deadline)
    )


def _own_door(site: Site) -> list[str]:
    """Grafana's path, where the front door says who somebody is."""
    return ["/grafana/api/user"] if site.runs_grafana and site.grafana.sign_in is SignIn.FRONT_DOOR else []
