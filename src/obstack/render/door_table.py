"""Who may do what behind the front door: one table, from which nginx's configuration, its page and its tests are made.

What no row grants is refused, and whoever no row names is nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from obstack.model.front_door import MachineRight, Role
from obstack.model.grafana import SignIn
from obstack.model.site import Site


class Backend(StrEnum):
    """What answers behind a route."""

    PAGE = "page"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"


class Content(StrEnum):
    """What a route answers with, which decides what a browser may do with it."""

    PAGE = "page"
    INTERFACE = "interface"
    APPLICATION = "application"
    DATA = "data"


class Kind(StrEnum):
    """What a request means, which decides how often it may be made."""

    READ = "read"
    WRITE = "write"
    PUSH = "push"


READ: Final = ("GET", "HEAD")


@dataclass(frozen=True)
class Grant:
    """These methods are open to people of this role and above, and to machines with one of these rights."""

    methods: tuple[str, ...]
    kind: Kind
    role: Role | None = None
    rights: tuple[MachineRight, ...] = ()


@dataclass(frozen=True)
class Route:
    """Paths of the front door: each is that path alone, or all below it when it ends with a slash; the longest decides.

    `body` is the size of the largest request as nginx writes it. A `stream` is passed on as it comes, for as long as it
    lasts. Interfaces and applications may have their connection become a WebSocket, nothing else may. An `open` route
    asks for no login: what is behind it does that itself.
    """

    paths: tuple[str, ...]
    backend: Backend
    grants: tuple[Grant, ...]
    purpose: str
    content: Content = Content.DATA
    body: str = "16k"
    stream: bool = False
    open: bool = False

    @property
    def name(self) -> str:
        """What its grants are found by."""
        return self.paths[0]


def _read(least: Role = Role.VIEWER, *rights: MachineRight) -> Grant:
    return Grant(READ, Kind.READ, least, rights)


_QUERIES: Final = ("query", "query_range", "query_exemplars", "series", "labels", "format_query", "parse_query")
_ADMINISTRATION: Final = (Grant(("POST", "PUT"), Kind.WRITE, Role.ADMIN),)

ROUTES: Final[tuple[Route, ...]] = (
    Route(("/",), Backend.PAGE, (_read(),), "the list of what is behind the front door", Content.PAGE),
    Route(
        ("/prometheus/",),
        Backend.PROMETHEUS,
        (_read(),),
        "the pages of Prometheus and everything of it that is not named below",
        Content.INTERFACE,
    ),
    Route(
        ("/prometheus/api/v1/",),
        Backend.PROMETHEUS,
        (_read(Role.VIEWER, MachineRight.READ_METRICS),),
        "the API of Prometheus",
    ),
    Route(
        tuple(f"/prometheus/api/v1/{name}" for name in _QUERIES),
        Backend.PROMETHEUS,
        (Grant(("GET", "HEAD", "POST"), Kind.READ, Role.VIEWER, (MachineRight.READ_METRICS,)),),
        "queries, which may be too long for GET",
        body="1m",
    ),
    Route(
        ("/prometheus/api/v1/notifications/live",),
        Backend.PROMETHEUS,
        (_read(),),
        "news for the pages of Prometheus",
        stream=True,
    ),
    Route(
        ("/prometheus/api/v1/read",),
        Backend.PROMETHEUS,
        (Grant(("POST",), Kind.READ, None, (MachineRight.READ_METRICS,)),),
        "remote read",
        body="1m",
    ),
    Route(
        ("/prometheus/federate",),
        Backend.PROMETHEUS,
        (_read(Role.VIEWER, MachineRight.READ_METRICS),),
        "federation",
    ),
    Route(
        ("/prometheus/api/v1/write",),
        Backend.PROMETHEUS,
        (Grant(("POST",), Kind.PUSH, None, (MachineRight.WRITE_METRICS,)),),
        "remote write; it is on while a machine may write metrics",
        body="16m",
    ),
    Route(("/prometheus/api/v1/admin/",), Backend.PROMETHEUS, _ADMINISTRATION, "the administration of its data"),
    Route(
        ("/prometheus/-/reload", "/prometheus/-/quit"),
        Backend.PROMETHEUS,
        _ADMINISTRATION,
        "reading the configuration again, and ending Prometheus",
    ),
    Route(
        ("/prometheus/debug/",), Backend.PROMETHEUS, (_read(Role.ADMIN),), "profiles, which cost time and show memory"
    ),
    Route(
        ("/alertmanager/",),
        Backend.ALERTMANAGER,
        (_read(),),
        "the pages of Alertmanager and everything of it that is not named below",
        Content.INTERFACE,
    ),
    Route(("/alertmanager/api/v2/",), Backend.ALERTMANAGER, (_read(),), "the API of Alertmanager"),
    Route(
        ("/alertmanager/api/v2/silences",),
        Backend.ALERTMANAGER,
        (_read(), Grant(("POST",), Kind.WRITE, Role.EDITOR)),
        "the list of silences, making and changing them",
        body="256k",
    ),
    Route(
        ("/alertmanager/api/v2/silence/",),
        Backend.ALERTMANAGER,
        (_read(), Grant(("DELETE",), Kind.WRITE, Role.EDITOR)),
        "one silence, and ending it",
    ),
    Route(
        ("/alertmanager/api/v2/alerts",),
        Backend.ALERTMANAGER,
        (_read(), Grant(("POST",), Kind.PUSH, Role.ADMIN, (MachineRight.PUSH_ALERTS,))),
        "the list of alerts, and telling of alerts",
        body="4m",
    ),
    Route(("/alertmanager/-/reload",), Backend.ALERTMANAGER, _ADMINISTRATION, "reading the configuration again"),
    Route(
        ("/alertmanager/debug/",),
        Backend.ALERTMANAGER,
        (_read(Role.ADMIN),),
        "profiles, which cost time and show memory",
    ),
)

_EVERYTHING: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
GRAFANA: Final = Route(
    ("/grafana/",),
    Backend.GRAFANA,
    (Grant(_EVERYTHING, Kind.READ, Role.VIEWER),),
    "Grafana, which is told the role and judges by it what may be changed",
    Content.APPLICATION,
    body="8m",
)
"""Of a site that has Grafana."""


def routes(site: Site) -> tuple[Route, ...]:
    """Given a site, return the routes of its front door."""
    if not site.runs_grafana:
        return ROUTES
    return (*ROUTES, replace(GRAFANA, open=site.grafana.sign_in is not SignIn.FRONT_DOOR))


CHALLENGES: Final = "/.well-known/acme-challenge/"

PUBLIC: Final[Mapping[str, str]] = {
    CHALLENGES: "on the port for http, while an authority signs by ACME: its challenges",
    "/grafana/": "while `grafana.sign_in` is own or oidc: Grafana itself asks who somebody is",
}
"""What answers without a login, and when; beside it, the port for http leads to the other one, and nothing else."""


def roles_from(least: Role) -> tuple[Role, ...]:
    """Given a role, return it and those that may do more."""
    order = tuple(Role)
    return order[order.index(least) :]


@dataclass(frozen=True)
class Permission:
    """One thing that may be done: by whom, with which method, on which route."""

    principal: str
    method: str
    route: Route = field(compare=False)
    kind: Kind


def machine_principal(rights: tuple[MachineRight, ...]) -> str:
    """Given the rights of a machine, return what stands for machines with exactly these."""
    return f"machine:{','.join(right.value for right in MachineRight if right in rights)}"


def permissions(
    machines: tuple[tuple[MachineRight, ...], ...], table: tuple[Route, ...] = ROUTES
) -> Iterator[Permission]:
    """Given the rights of each machine, yield everything that may be done, in the order of the table."""
    groups = {machine_principal(rights): set(rights) for rights in machines}
    for route in table:
        for grant in route.grants:
            people = () if grant.role is None else tuple(role.value for role in roles_from(grant.role))
            programs = tuple(name for name, rights in sorted(groups.items()) if rights & set(grant.rights))
            for principal in (*people, *programs):
                for method in grant.methods:
                    yield Permission(principal, method, route, grant.kind)
