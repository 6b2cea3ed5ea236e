"""The reference of the front door, from the table that nginx is configured by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from obstack.model.front_door import MachineRight, Role
from obstack.render.door_table import GRAFANA, PUBLIC, ROUTES, Grant, Route
from obstack.render.nginx_headers import POLICIES, RETRY_AFTER_S
from obstack.render.nginx_limits import AT_ONCE, LIMITS, TIMEOUTS

_SLOW: Final = "Then the answer is 429 with `Retry-After`, before the password is looked at."


def front_door_page(generated: str) -> str:
    """Given the line that says the page is generated, return the reference as Markdown."""
    sections = [
        "# The front door",
        generated,
        "What may be done behind the front door, and by whom. "
        "[The front door](../how-to/front-door.md) tells how users and machines are configured.",
        "## Routes",
        "A path that ends with a slash stands for all below it; the longest that fits decides. What no cell allows is "
        f"refused: 401 to whoever has not given a right password, 403 to all others. {_public()}",
        "\n".join(_routes()),
        "The administration of Prometheus is off in Prometheus itself, so that it refuses even what is allowed here.",
        "## How often",
        f"Each is counted by the client's address; of IPv6 by its /64. {_SLOW} Nothing from loopback is counted.",
        "\n".join(_limits()),
        f"One client gets at most {AT_ONCE} answers at the same time. Who is slow is cut off: "
        f"{', '.join(f'`{name} {value}`' for name, value in TIMEOUTS)}. `Retry-After` says {RETRY_AFTER_S} s.",
        "## Content policies",
        "`Content-Security-Policy` by what a route answers with. "
        "The word of a script (`nonce`) is another one for each answer.",
        "\n".join(_policies()),
    ]
    return "\n\n".join(sections) + "\n"


def _public() -> str:
    paths = "; ".join(f"`{path}` ({when})" for path, when in PUBLIC.items())
    return f"Without a password there is {paths}; nothing else."


def _routes() -> Iterator[str]:
    columns = [*(role.value for role in Role), *(right.value for right in MachineRight)]
    yield f"| path | what it is | {' | '.join(columns)} | largest request |"
    yield f"|{'---|' * (len(columns) + 3)}"
    for route in (*ROUTES, GRAFANA):
        cells = [_methods(route, role) for role in Role] + [_methods_of_machine(route, right) for right in MachineRight]
        paths = ", ".join(f"`{path}`" for path in route.paths)
        yield f"| {paths} | {route.purpose} | {' | '.join(cells)} | {route.body} |"


def _methods(route: Route, role: Role) -> str:
    order = tuple(Role)
    return _told(g for g in route.grants if g.role is not None and order.index(g.role) <= order.index(role))


def _methods_of_machine(route: Route, right: MachineRight) -> str:
    return _told(grant for grant in route.grants if right in grant.rights)


def _told(grants: Iterator[Grant]) -> str:
    return ", ".join(dict.fromkeys(method for grant in grants for method in grant.methods))


def _limits() -> Iterator[str]:
    yield from ("| what | in the long run | at once |", "|---|---|---|")
    for limit in LIMITS:
        yield f"| {limit.meaning} | {limit.rate.replace('r/s', ' a second')} | {limit.burst} |"


def _policies() -> Iterator[str]:
    yield from ("| answer | policy |", "|---|---|")
    for content, policy in POLICIES.items():
        yield f"| {content.value} | `{policy.replace('$request_id', '…')}` |"
