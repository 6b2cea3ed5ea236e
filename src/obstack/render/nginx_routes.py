"""The front door's two servers and what is behind each path."""

from __future__ import annotations

from obstack.catalog import capabilities
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render import targets
from obstack.render.emit import Directive, Expression, directive
from obstack.render.nginx_access import authentication
from obstack.render.nginx_headers import headers, proof
from obstack.render.nginx_names import NAME
from obstack.render.nginx_tls import certificate_directives


def http_server(site: Site, layout: Layout, digest: str) -> Directive:
    """Return the server on the port for http, which leads to the other one."""
    private = layout.manager is Manager.SUPERVISOR
    return directive(
        "server",
        block=[
            directive("listen", _address(site.front_door.http_port, private), "default_server"),
            directive("server_name", site.domain),
            proof(digest),
            # Our own name, not the one asked for: a foreign Host header must not send anybody elsewhere.
            directive("return", "308", Expression(f"{targets.public_url(site)}$request_uri")),
        ],
    )


def door_server(site: Site, layout: Layout, version: str, digest: str) -> Directive:
    """Return the server on the port for https: all routes, each authenticated."""
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
            *certificate_directives(),
            *authentication(),
            *headers(private, "frame-ancestors 'self'", digest),
            directive(
                "location",
                "/",
                block=[
                    directive("root", f"{layout.etc(NAME)}/www"),
                    *headers(private, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'", digest),
                ],
            ),
            _backend("/prometheus/", site.prometheus.port),
            _backend("/alertmanager/", site.alertmanager.port),
        ],
    )


def _backend(path: str, port: int) -> Directive:
    fields = {
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
            *(directive("proxy_set_header", name, Expression(value)) for name, value in fields.items()),
        ],
    )


def _address(port: int, private: bool) -> str:
    return f"127.0.0.1:{port}" if private else str(port)
