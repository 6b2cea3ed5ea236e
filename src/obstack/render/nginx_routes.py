"""The front door's servers: the one that people and machines reach, and the one that leads them there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from obstack.catalog import capabilities
from obstack.model.front_door import Role
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render import targets
from obstack.render.door_table import Backend, Content, Route, routes
from obstack.render.emit import Directive, Expression, directive
from obstack.render.grafana import grafana_address
from obstack.render.grafana_settings import ROLE_HEADER, USER_HEADER
from obstack.render.nginx_access import authentication, choice, judge
from obstack.render.nginx_challenge import challenge_location
from obstack.render.nginx_headers import HIDDEN, headers, proof
from obstack.render.nginx_limits import limits
from obstack.render.nginx_names import NAME
from obstack.render.nginx_tls import certificate_directives


def http_server(site: Site, layout: Layout, digest: str) -> Directive:
    """Return the server on the port for http, which leads to the other one."""
    return directive(
        "server",
        block=[
            *(
                directive("listen", place, "default_server")
                for place in _places(site, layout, site.front_door.http_port)
            ),
            directive("server_name", site.domain),
            proof(digest),
            *_onwards(site, layout),
        ],
    )


def _onwards(site: Site, layout: Layout) -> tuple[Directive, ...]:
    """What leads to the other server, and what answers an authority instead of leading it there."""
    # Our own name, not the one asked for: a foreign Host header must not send anybody elsewhere.
    redirect = directive("return", "308", Expression(f"{targets.public_url(site)}$request_uri"))
    challenges = challenge_location(site, layout)
    return (*challenges, directive("location", "/", block=[redirect])) if challenges else (redirect,)


def door_server(site: Site, layout: Layout, version: str, digest: str) -> Directive:
    """Return the server of all routes; with TLS on the port for https, or without on the port for http."""
    private = layout.manager is Manager.SUPERVISOR
    return directive(
        "server",
        block=[
            *(_plain(site, layout) if site.front_door.plain_http else _with_tls(site, layout, version)),
            directive("server_name", site.domain),
            *authentication(),
            *limits(),
            *headers(private, digest),
            *_proxy(),
            judge(),
            directive("location", "@slash", block=[directive("return", "301", Expression("$uri/"))]),
            *(location for route in routes(site) for location in _locations(site, layout, route)),
        ],
    )


def _plain(site: Site, layout: Layout) -> list[Directive]:
    return [
        *(directive("listen", place, "default_server") for place in _places(site, layout, site.front_door.http_port)),
        # Before anybody is asked for a password, which would be seen on the way.
        directive("if", Expression("($door_stranger)"), block=[directive("return", "403")]),
    ]


def _with_tls(site: Site, layout: Layout, version: str) -> list[Directive]:
    two = capabilities.nginx_http2_directive(version)
    listen = ["ssl", "default_server"] if two else ["ssl", "http2", "default_server"]
    return [
        *(directive("listen", place, *listen) for place in _places(site, layout, site.front_door.https_port)),
        *([directive("http2", "on")] if two else []),
        *certificate_directives(),
    ]


def _places(site: Site, layout: Layout, port: int) -> list[str]:
    """Given a port, return where it is listened on: every address of a server, loopback of a private root."""
    if layout.manager is Manager.SUPERVISOR:
        return [f"127.0.0.1:{port}"]
    return [str(port), *([f"[::]:{port}"] if site.front_door.ipv6 else [])]


def _locations(site: Site, layout: Layout, route: Route) -> Iterator[Directive]:
    common = [
        directive("set", Expression("$door_route"), route.name),
        directive("client_max_body_size", route.body),
        *(
            []
            if route.content is Content.DATA
            else [directive("set", Expression("$door_content"), route.content.value)]
        ),
    ]
    for path in route.paths:
        if route.backend is Backend.PAGE:
            yield directive("location", path, block=[*common, directive("root", f"{layout.etc(NAME)}/www")])
            continue
        exact = not path.endswith("/")
        yield directive(
            "location", *(["="] if exact else []), path, block=[*common, *_behind(site, layout, route, path)]
        )
        if not exact:
            # nginx would answer by itself, without asking who it is.
            bare = [*common, directive("try_files", "/.door/nothing", "@slash")]
            yield directive("location", "=", path.removesuffix("/"), block=bare)


def _behind(site: Site, layout: Layout, route: Route, path: str) -> list[Directive]:
    if route.backend is Backend.GRAFANA:
        return _grafana(site, layout, route, path)
    ports = {Backend.PROMETHEUS: site.prometheus.port, Backend.ALERTMANAGER: site.alertmanager.port}
    rest = path.removeprefix(f"/{route.backend.value}")
    # What is passed on is the path that was judged, spelled anew, not the one that was sent.
    found = [directive("proxy_pass", f"http://127.0.0.1:{ports[route.backend]}{rest}")]
    if route.stream:
        found += [directive("proxy_read_timeout", "1h"), directive("proxy_buffering", "off")]
    return found + (_page() if route.content is Content.INTERFACE else [])


def _page() -> list[Directive]:
    """Return how a page of a program is passed on: its scripts get the word of this answer, or they would not run."""
    return [
        directive("sub_filter", "<script", Expression('<script nonce="$request_id"')),
        directive("sub_filter_once", "off"),
        directive("gzip", "on"),
        directive("gzip_proxied", "any"),
        directive("gzip_types", "application/javascript", "text/javascript", "text/css", "image/svg+xml"),
    ]


def _grafana(site: Site, layout: Layout, route: Route, path: str) -> list[Directive]:
    """What is behind Grafana's route. It knows its own path, and keeps its own cookies where it asks people itself."""
    who = {USER_HEADER: "", ROLE_HEADER: ""}
    if not route.open:
        who = {USER_HEADER: "$remote_user", ROLE_HEADER: "$door_grafana_role"}
    fields = _FIELDS | who | ({"Cookie": "$http_cookie"} if route.open else {})
    return [
        *(directive(name, "off") for name in ("auth_basic", "auth_request") if route.open),
        directive("proxy_pass", f"{grafana_address(site, layout)}{path}"),
        directive("proxy_read_timeout", "1h"),
        *(directive("proxy_set_header", name, Expression(value)) for name, value in fields.items()),
        *_page(),
    ]


_FIELDS: Final = {
    "Host": "$http_host",
    "X-Forwarded-For": "$remote_addr",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-User": "$remote_user",
    "Accept-Encoding": "$door_encoding",
    "Upgrade": "$door_upgrade",
    "Connection": "$door_connection",
    # The door's password and cookie are nobody's business behind it.
    "Authorization": "",
    "Cookie": "",
}
"""What a program behind the front door is told with each request."""


def _proxy() -> list[Directive]:
    """Return how all programs behind the front door are asked."""
    return [
        directive("proxy_http_version", "1.1"),
        directive("proxy_connect_timeout", "5s"),
        directive("proxy_read_timeout", "120s"),
        *(directive("proxy_hide_header", name) for name in HIDDEN),
        *(directive("proxy_set_header", name, Expression(value)) for name, value in _FIELDS.items()),
    ]


def proxy_maps() -> list[Directive]:
    """Return what the programs behind are told of the connection.

    The wish for a WebSocket is passed on, and for nothing else that a connection can become. A page must not come
    compressed, for something is written into it.
    """
    pages = (Content.INTERFACE.value, Content.APPLICATION.value)
    roles = {Role.VIEWER: "Viewer", Role.EDITOR: "Editor", Role.ADMIN: "Admin"}
    return [
        choice(
            "$door_content:$http_upgrade",
            "$door_upgrade",
            "",
            {f"{page}:websocket": "websocket" for page in pages},
        ),
        choice("$door_upgrade", "$door_connection", "", {"websocket": "upgrade"}),
        choice("$door_content", "$door_encoding", "$http_accept_encoding", dict.fromkeys(pages, "")),
        choice("$door_role", "$door_grafana_role", "", {role.value: name for role, name in roles.items()}),
    ]
