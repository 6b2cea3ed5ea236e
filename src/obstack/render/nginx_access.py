"""Who may pass the front door, and what they may do there: logins, roles, and the judgement of each request.

Authentication comes first (401), then the judgement (403): it is made by a request of nginx to itself, because anything
that nginx decides earlier, it decides before it has looked at the password.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from obstack.model.front_door import Role
from obstack.model.site import Site
from obstack.render.door_table import Kind, machine_principal, permissions, routes
from obstack.render.emit import Directive, Expression, directive, nginx_bytes
from obstack.render.materials import Login, Materials
from obstack.render.nginx_names import CREDENTIALS, FOLDER, HTPASSWD, KNOWN
from obstack.render.tree import RenderedFile

JUDGE: Final = "/.door/judge"
COOKIE: Final = "observability"


def authentication() -> list[Directive]:
    """Return what makes a server ask for a login on each of its paths, and judge what is asked for."""
    return [
        directive("auth_basic", "observability"),
        directive("auth_basic_user_file", "htpasswd"),
        directive("auth_request", JUDGE),
        # Only what is set by the judgement can be relied on: until then the name is a claim.
        directive("auth_request_set", Expression("$door_entered"), "yes"),
    ]


def judge() -> Directive:
    """Return the location that judges; nobody can ask it from outside."""
    return directive(
        "location",
        "=",
        JUDGE,
        block=[
            directive("internal"),
            directive("auth_basic", "off"),
            directive("auth_request", "off"),
            directive("if", Expression("($door_refused)"), block=[directive("return", "403")]),
            directive("return", "204"),
        ],
    )


def access_maps(site: Site, gate: str) -> list[Directive]:
    """Given the site and the name of the gate's account, return what nginx knows of roles and of the table."""
    door = site.front_door
    principals = {user.name: user.role.value for user in door.users}
    principals |= {machine.name: machine_principal(machine.may) for machine in door.machines}
    principals[gate] = Role.VIEWER.value
    granted = {
        f"{item.principal} {item.method} {item.route.name}": item.kind.value
        for item in permissions(tuple(machine.may for machine in door.machines), routes(site))
    }
    return [
        # Some names mean something to nginx where a map's key stands; with a word before it, none does.
        choice("user:$remote_user", "$door_role", "", {f"user:{name}": role for name, role in principals.items()}),
        choice("$door_role $request_method $door_route", "$door_may", "", granted),
        # A page of somebody else's must not change anything through the browser of a person who is logged in here.
        choice(
            "$request_method $http_sec_fetch_site",
            "$door_foreign",
            "",
            {"~^(GET|HEAD) ": "", "~ (cross|same)-site": "1"},
        ),
        choice("$door_may:$door_foreign", "$door_refused", "1", {f"{kind.value}:": "0" for kind in Kind}),
        directive("include", KNOWN.removeprefix(f"{FOLDER}/")),
    ]


def choice(source: str, target: str, default: str, values: Mapping[str, str | Expression]) -> Directive:
    """Given an expression, a variable and what it is for each value of the expression, return the map of nginx.

    A value that begins with a tilde is a pattern; it is written by this program, never taken from configuration.
    """
    return directive(
        "map",
        Expression(source),
        Expression(target),
        block=[
            directive("default", Expression(default)),
            *(directive(_key(key), value) for key, value in values.items()),
        ],
    )


def _key(text: str) -> str | Expression:
    return Expression(text) if text.startswith("~") else text


def access_files(site: Site, materials: Materials, group: str) -> tuple[RenderedFile, ...]:
    """Given the site, the materials and the group of the workers, return the logins and the gate's own credentials."""
    logins = "".join(f"{login.name}:{login.hash}\n" for login in (*materials.logins, materials.gate))
    credentials = f"{materials.gate.name}:{materials.gate.password.reveal()}"
    return (
        RenderedFile(HTPASSWD, logins.encode(), 0o640, "root", group, secret=True),
        RenderedFile(KNOWN, known_bytes(site, materials), 0o640, "root", group, secret=True),
        RenderedFile(CREDENTIALS, credentials.encode(), 0o600, secret=True),
    )


def known_bytes(site: Site, materials: Materials) -> bytes:
    """Given the site and the materials, return what nginx knows browsers by that have entered before."""
    people = {user.name for user in site.front_door.users}
    tokens = {login.name: _token(login) for login in materials.logins if login.name in people}
    return nginx_bytes(
        [
            choice("user:$remote_user", "$door_token", "", {f"user:{name}": token for name, token in tokens.items()}),
            choice(
                f"$remote_user:$cookie_{COOKIE}",
                "$door_known",
                "",
                dict.fromkeys((f"{name}:{token}" for name, token in tokens.items()), "1"),
            ),
        ]
    )


def _token(login: Login) -> str:
    # It lets nobody in. It says that this browser once had the right password, so that it need not be taken for one
    # that guesses; it ends with that password, whose hash is drawn anew.
    return hashlib.sha256(f"known:{login.name}:{login.hash}".encode()).hexdigest()[:40]
