"""The server takes its hosts' journals: a door with TLS, and behind it one receiver a host.

The door is an nginx of its own, so that a new host never touches the front door. Whoever has a certificate of the
site's authority is led to the one receiver of the name that the certificate gives: nothing that a client says can lead
it elsewhere. Receivers wait on a socket of the file system, without a network, and become systemd-journal-remote when
their host comes for the first time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, LinkEntry, ReloadEntry
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render.emit import Directive, Expression, directive, json_bytes, nginx_bytes
from obstack.render.materials import Certificate, Materials
from obstack.render.nginx_tls import CIPHERS
from obstack.render.programs import Programs, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import megabytes, whole_seconds
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "journal-receive"
TRIM: Final = "journal-trim"
FOLDER: Final = f"etc/{NAME}"
AUTHORITY: Final = f"{FOLDER}/authority.pem"
TRIM_FILE: Final = f"{FOLDER}/trim.json"
JOURNALS: Final = "/var/log/observability"
ACTIVATE: Final = "/usr/bin/systemd-socket-activate"
REMOTE: Final = "journal-remote"
OPEN_FILES: Final = 16_384
"""Each host takes two connections of the door."""
TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def shipping_hosts(site: Site) -> tuple[str, ...]:
    """Given a site, return the names of the hosts that ship their journal, in order."""
    return tuple(sorted(name for name, host in site.hosts.items() if host.logs))


def journal_folder(layout: Layout, host: str) -> str:
    """Given a host's name, return the folder of its journal on the server."""
    return f"{layout.root}{JOURNALS}/{host}"


def render_journal_receive(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return what takes the hosts' journals; nothing while no host ships one.

    A private root takes none either: it listens on loopback only.
    """
    hosts = shipping_hosts(site)
    if not hosts or layout.manager is not Manager.SYSTEMD:
        return Rendering()
    # The site's own authority signed it, and it is for the address at which the hosts reach the server, too.
    certificate = materials.towards_hosts
    remote, nginx = Programs(layout, materials.artifacts[REMOTE]), Programs(layout, materials.artifacts["nginx"])
    digest = _digest(_configuration(site, layout, hosts, ""), certificate)
    arguments = ("-c", f"{{tree}}/{FOLDER}/nginx.conf", "-p", "{scratch}/", "-e", "stderr")
    return Rendering(
        files=(
            RenderedFile(f"{FOLDER}/nginx.conf", nginx_bytes(_configuration(site, layout, hosts, digest))),
            RenderedFile(f"{FOLDER}/certificate.pem", certificate.chain.encode()),
            RenderedFile(f"{FOLDER}/key.pem", certificate.key.reveal().encode(), 0o640, "root", NAME, secret=True),
            RenderedFile(AUTHORITY, certificate.authority.encode()),
            RenderedFile(TRIM_FILE, json_bytes(_limits(site, layout, hosts))),
        ),
        directories=_directories(layout, hosts),
        links=(LinkEntry(layout.etc(NAME), FOLDER),),
        users=users(layout, NAME),
        services=(
            *(_receiver(layout, remote, host) for host in hosts),
            _door(site, layout, nginx),
            _trimmer(layout),
        ),
        checks=(nginx.check("journal door configuration", "nginx", "-t", "-q", *arguments),),
        gates=(_gate(site, layout, remote, hosts, digest),),
        artifacts=(remote.artifact.entry,),
    )


def _directories(layout: Layout, hosts: Sequence[str]) -> tuple[DirectoryEntry, ...]:
    places = (layout.data(NAME), _sockets(layout), f"{layout.root}{JOURNALS}")
    return tuple(
        DirectoryEntry(path, 0o750, NAME, NAME) for path in (*places, *(journal_folder(layout, host) for host in hosts))
    )


def _sockets(layout: Layout) -> str:
    return f"{layout.data(NAME)}/sockets"


def _socket(layout: Layout, host: str) -> str:
    return f"{_sockets(layout)}/{host}"


# --------------------------------------------------------------------------------------------------------- the door


def _digest(configuration: list[Directive], certificate: Certificate) -> str:
    content = nginx_bytes(configuration) + certificate.chain.encode() + certificate.authority.encode()
    return hashlib.sha256(content).hexdigest()


def _configuration(site: Site, layout: Layout, hosts: Sequence[str], digest: str) -> list[Directive]:
    # The whole subject, as the site's authority wrote it: whoever it does not name exactly is nobody.
    subjects = {host: f"CN={host}" for host in hosts}
    subject = Expression("$ssl_client_s_dn")
    return [
        directive("daemon", "off"),
        directive("worker_processes", "1"),
        directive("worker_rlimit_nofile", str(OPEN_FILES)),
        directive("worker_shutdown_timeout", "5s"),
        directive("pid", "nginx.pid"),
        directive("error_log", "stderr", "warn"),
        directive("events", block=[directive("worker_connections", str(OPEN_FILES // 2))]),
        directive(
            "http",
            block=[
                *(directive(f"{name}_temp_path", f"{name}_temp") for name in TEMPORARY),
                directive("access_log", "off"),
                directive("server_tokens", "off"),
                # The longest names, and very many of them.
                directive("map_hash_bucket_size", "256"),
                directive("map_hash_max_size", "65536"),
                directive("map", subject, Expression("$receiver"), block=_choice("", {subjects[h]: h for h in hosts})),
                directive(
                    "map", subject, Expression("$stranger"), block=_choice("1", dict.fromkeys(subjects.values(), "0"))
                ),
                _server(site, layout, digest),
            ],
        ),
    ]


def _choice(otherwise: str, values: Mapping[str, str]) -> list[Directive]:
    return [directive("default", otherwise), *(directive(key, value) for key, value in values.items())]


def _listeners(site: Site) -> list[str]:
    """Given a site, return the addresses of the families at which hosts can reach it."""
    address, port = site.server.address or "", site.logs.receive_port
    four = ":" not in address
    six = ":" in address or not address.replace(".", "").isdigit()
    return [*([str(port)] if four else []), *([f"[::]:{port}"] if six else [])]


def _server(site: Site, layout: Layout, digest: str) -> Directive:
    return directive(
        "server",
        block=[
            *(directive("listen", address, "ssl") for address in _listeners(site)),
            directive("ssl_certificate", "certificate.pem"),
            directive("ssl_certificate_key", "key.pem"),
            directive("ssl_client_certificate", "authority.pem"),
            directive("ssl_verify_client", "on"),
            directive("ssl_verify_depth", "1"),
            directive("ssl_protocols", "TLSv1.2", "TLSv1.3"),
            directive("ssl_ciphers", CIPHERS),
            # A session that is taken up again would outlive the certificate that began it.
            directive("ssl_session_cache", "off"),
            directive("ssl_session_tickets", "off"),
            directive("keepalive_time", "1h"),
            directive("keepalive_timeout", "75s"),
            directive("client_max_body_size", "0"),
            directive("client_body_timeout", "5m"),
            directive("add_header", "Observability-Configuration", digest, "always"),
            directive("location", "/", block=[directive("return", "404")]),
            directive("location", "=", "/upload", block=_upload(layout, digest)),
        ],
    )


def _upload(layout: Layout, digest: str) -> list[Directive]:
    return [
        directive("if", Expression("($stranger)"), block=[directive("return", "403")]),
        directive("add_header", "Observability-Configuration", digest, "always"),
        directive("add_header", "Observability-Host", Expression("$receiver"), "always"),
        directive("proxy_pass", Expression(f"http://unix:{_socket(layout, '$receiver')}:/upload")),
        directive("proxy_http_version", "1.1"),
        directive("proxy_request_buffering", "off"),
        directive("proxy_buffering", "off"),
        directive("proxy_read_timeout", "5m"),
        directive("proxy_send_timeout", "5m"),
        directive("proxy_pass_request_headers", "off"),
        directive("proxy_set_header", "Host", Expression("$receiver")),
        directive("proxy_set_header", "Content-Type", Expression("$content_type")),
        directive("proxy_set_header", "Content-Length", Expression("$content_length")),
    ]


def _door(site: Site, layout: Layout, programs: Programs) -> Service:
    data = layout.data(NAME)
    command = (programs.live("nginx"), "-c", f"{layout.etc(NAME)}/nginx.conf", "-p", f"{data}/", "-e", "stderr")
    return Service(
        name=NAME,
        description="Door for the hosts' journals",
        argv=command,
        user=NAME,
        data=data,
        preflight=((*command, "-t", "-q"),),
        libraries=programs.libraries,
        inputs=(
            InputEntry(TRIM_FILE, "none"),
            InputEntry(f"{FOLDER}/", "reload"),
            programs.input,
        ),
        reload=ReloadEntry("signal", "HUP"),
        sandbox=Sandbox(
            families=("AF_INET", "AF_INET6", "AF_UNIX"),
            capabilities=("CAP_NET_BIND_SERVICE",) if site.logs.receive_port < 1024 else (),
            # It speaks with machines that may have been broken into, and needs nothing of what the receivers wrote.
            hidden=(f"{layout.root}{JOURNALS}",),
        ),
        open_files=OPEN_FILES,
        stop_timeout_s=15,
        stop_signal="QUIT",
    )


# ---------------------------------------------------------------------------------------------------- the receivers


def _receiver(layout: Layout, programs: Programs, host: str) -> Service:
    # It clears the environment of what it starts, but for what it is told to pass on.
    passed = ("-E", "LD_LIBRARY_PATH") if programs.libraries else ()
    return Service(
        name=f"{NAME}-{host}",
        description=f"Receiver of the journal of {host}",
        argv=(
            ACTIVATE,
            *passed,
            "-l",
            _socket(layout, host),
            programs.live("systemd-journal-remote"),
            "--listen-http=-3",
            "--split-mode=none",
            f"--output={journal_folder(layout, host)}/remote.journal",
        ),
        user=NAME,
        data=journal_folder(layout, host),
        libraries=programs.libraries,
        inputs=(programs.input,),
        sandbox=Sandbox(families=("AF_UNIX",), writable=(_sockets(layout),)),
        persistent=True,
        stop_timeout_s=10,
    )


# ------------------------------------------------------------------------------------------------------ old journals


def _limits(site: Site, layout: Layout, hosts: Sequence[str]) -> dict[str, object]:
    return {
        "journals": {host: {"folder": journal_folder(layout, host), "socket": _socket(layout, host)} for host in hosts},
        "all": f"{layout.root}{JOURNALS}",
        "maximum_bytes": megabytes(site.logs.retention_size) * 1024 * 1024,
        "maximum_age_s": whole_seconds(site.logs.retention_time),
    }


def _trimmer(layout: Layout) -> Service:
    return Service(
        name=TRIM,
        description="Removal of the hosts' old journals",
        argv=(layout.python, "-I", layout.agent, TRIM, f"{layout.etc(NAME)}/trim.json"),
        user=NAME,
        data=f"{layout.root}{JOURNALS}",
        # Read anew each time.
        inputs=(InputEntry(TRIM_FILE, "none"),),
        sandbox=Sandbox(families=("AF_UNIX",), writable=(_sockets(layout),)),
        stop_timeout_s=10,
    )


def _gate(site: Site, layout: Layout, programs: Programs, hosts: Sequence[str], digest: str) -> GateEntry:
    params = {
        "port": site.logs.receive_port,
        "address": "::1" if _listeners(site)[0].startswith("[") else "127.0.0.1",
        "host": site.server.address or "",
        "authority": AUTHORITY,
        "digest": digest,
        "folder": f"{layout.root}{JOURNALS}",
        "hosts": list(hosts),
        "journalctl": [programs.live("journalctl")],
        "environment": {"LD_LIBRARY_PATH": ":".join(programs.libraries)} if programs.libraries else {},
    }
    deadline = whole_seconds(site.gates.deadline)
    return GateEntry("the hosts' journals are taken", "journal-received", NAME, params, deadline)
