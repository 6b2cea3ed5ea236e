"""Who may pass the front door: the file of logins, and what asks for one."""

from __future__ import annotations

from obstack.render.emit import Directive, directive
from obstack.render.materials import Materials
from obstack.render.nginx_names import CREDENTIALS, HTPASSWD
from obstack.render.tree import RenderedFile


def authentication() -> list[Directive]:
    """Return what makes a server ask for a login on each of its paths."""
    return [
        directive("auth_basic", "observability"),
        directive("auth_basic_user_file", "htpasswd"),
    ]


def access_files(materials: Materials, group: str) -> tuple[RenderedFile, ...]:
    """Given the materials and the group of the workers, return the logins and the gate's own credentials."""
    logins = "".join(f"{login.name}:{login.hash}\n" for login in (*materials.logins, materials.gate))
    credentials = f"{materials.gate.name}:{materials.gate.password.reveal()}"
    return (
        RenderedFile(HTPASSWD, logins.encode(), 0o640, "root", group, secret=True),
        RenderedFile(CREDENTIALS, credentials.encode(), 0o600, secret=True),
    )
