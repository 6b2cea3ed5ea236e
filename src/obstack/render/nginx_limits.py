"""How much of the front door one client may take: how often, how much at once, and for how long.

Whoever guesses passwords is the one to slow down. A request that must be taken for a guess is one of a person's account
from a browser that has never entered before; those are counted before the password is looked at, so that the answer to
a guess too many costs nothing. Pages load some dozens of files at once, each with the password, and are not slowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from obstack.render.door_table import Kind
from obstack.render.emit import Directive, Expression, directive
from obstack.render.nginx_access import choice

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
"""Never limited: the gate's probes come from there, and they give wrong passwords on purpose."""


@dataclass(frozen=True)
class Limit:
    """How often something may be done: `rate` in the long run, `burst` at once. `zone` is nginx's name for it."""

    zone: str
    rate: str
    burst: int
    meaning: str


# nginx cannot load another key for a zone that it has: what is counted by something else needs another name.
LOGINS: Final = Limit("door_logins", "1r/s", 60, "passwords of people, from what has never entered before")
WRITES: Final = Limit("door_writes", "1r/s", 20, "changes by people")
PUSHES: Final = Limit("door_pushes", "100r/s", 500, "requests of one machine's account")
REQUESTS: Final = Limit("door_requests", "50r/s", 500, "requests of any kind")
LIMITS: Final = (LOGINS, WRITES, PUSHES, REQUESTS)
AT_ONCE: Final = 200
"""Requests of one client that may be answered at the same time."""

TIMEOUTS: Final = (
    ("client_header_timeout", "10s"),
    ("client_body_timeout", "15s"),
    ("send_timeout", "30s"),
    ("keepalive_timeout", "65s"),
)


def limit_maps() -> list[Directive]:
    """Return what each client is counted by; where that is empty, nothing is counted."""
    local = directive(
        "geo", Expression("$door_local"), block=[directive("default", ""), *(directive(a, "1") for a in LOOPBACK)]
    )
    # One person's machine has a whole /64: the first four groups of an address of IPv6 count, or fewer with many zeros.
    network = {"~^(?<door_network>([0-9a-f]{1,4}:){1,4})": Expression("$door_network")}
    client = {"": Expression("$door_client")}
    return [
        local,
        choice("$remote_addr", "$door_client", "$remote_addr", network),
        choice("$door_local$door_known$door_machine", "$door_login_key", "", client),
        choice("$door_role", "$door_machine", "", {"~^machine:": "1"}),
        choice("$door_local$door_may", "$door_write_key", "", {Kind.WRITE.value: Expression("$door_client")}),
        choice("$door_local$door_machine", "$door_push_key", "", {"1": Expression("$remote_user $door_client")}),
        choice("$door_local", "$door_request_key", "", client),
        *(_zone(limit) for limit in LIMITS),
        directive("limit_conn_zone", Expression("$door_request_key"), "zone=door_at_once:4m"),
        directive("limit_req_status", "429"),
        directive("limit_conn_status", "429"),
        # Each is in the log of requests; a line of its own as an error would double what an attack writes.
        directive("limit_req_log_level", "info"),
        directive("limit_conn_log_level", "info"),
        *(directive(name, value) for name, value in TIMEOUTS),
        directive("reset_timedout_connection", "on"),
    ]


_KEYS: Final = {
    LOGINS.zone: "$door_login_key",
    WRITES.zone: "$door_write_key",
    PUSHES.zone: "$door_push_key",
    REQUESTS.zone: "$door_request_key",
}


def _zone(limit: Limit) -> Directive:
    return directive("limit_req_zone", Expression(_KEYS[limit.zone]), f"zone={limit.zone}:4m", f"rate={limit.rate}")


def limits() -> list[Directive]:
    """Return what a server is limited by."""
    return [
        *(directive("limit_req", f"zone={limit.zone}", f"burst={limit.burst}", "nodelay") for limit in LIMITS),
        directive("limit_conn", "door_at_once", str(AT_ONCE)),
    ]


def proxy_directives(proxies: Sequence[str]) -> list[Directive]:
    """Given the proxies before the front door, return what takes the client's address from them alone."""
    if not proxies:
        return []
    return [
        *(directive("set_real_ip_from", proxy) for proxy in proxies),
        directive("real_ip_header", "X-Forwarded-For"),
        directive("real_ip_recursive", "on"),
    ]


def strangers(proxies: Sequence[str]) -> Directive:
    """Given the proxies, return what tells whether somebody else has connected; the gate's own probes are let in."""
    return directive(
        "geo",
        Expression("$realip_remote_addr"),
        Expression("$door_stranger"),
        block=[
            directive("default", "1"),
            *(directive(address, "") for address in dict.fromkeys((*LOOPBACK, *proxies))),
        ],
    )
