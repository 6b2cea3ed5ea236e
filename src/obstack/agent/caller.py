"""Who asked for a change, as far as this machine can tell and as far as the controller says.

What the kernel and this process know (the account, the login, the unit, the address that ssh came from) stands beside
what was only said (a name, the controller's host). Every value may come from outside and is made harmless here.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Mapping

from obstack.agent import wire
from obstack.agent.telling import sanitize

LONGEST = 200
CLAIMS = ("host", "unit", "address", "bundle")
"""What a controller may say about itself: its host, the unit it runs in, where its user came from by SSH, its file."""

SERVICE = re.compile(r"[A-Za-z0-9:_.@\\-]{1,200}\.service")
UNSET = 4294967295
"""The kernel's login identity of a process that nobody logged in for."""


def clean(text: str) -> str:
    """Given any text, return it as one short line without control characters."""
    flat = sanitize(text).replace("\n", "\\n").replace("\t", "\\t")
    return flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 1]}…"


def origin() -> dict[str, str]:
    """Return what a controller says about itself beside its user's name; what is not known is left out."""
    found = {"host": os.uname().nodename, "unit": _unit(), "address": ssh_address(os.environ)}
    return {name: clean(value) for name, value in found.items() if value}


def caller(request: wire.Request | None) -> dict[str, str]:
    """Given the request, return who asked: words by what they mean, empty ones left out.

    `name` and `controller…` are what the controller says. `account`, `sudo`, `login`, `unit` and `address` are this
    machine's own: the account that the agent runs as, who became it by sudo, who logged in, the systemd unit that it
    runs in, and the address that SSH came from.
    """
    claimed = request.origin if request else {}
    found = {
        "name": request.who if request else "",
        "account": _account(os.geteuid()),
        "sudo": os.environ.get("SUDO_USER", ""),
        "login": _login(),
        "unit": _unit(),
        "address": ssh_address(os.environ),
        **{f"controller_{name}": claimed[name] for name in CLAIMS if name in claimed},
    }
    return {name: clean(value) for name, value in found.items() if value}


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _login() -> str:
    text = _first_line("/proc/self/loginuid")
    return _account(int(text)) if text.isdigit() and int(text) != UNSET else ""


def _unit() -> str:
    """Return the service that this process runs in: a timer's, sshd's, cron's; empty in a person's own session."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as stream:
            paths = [line.rstrip("\n").split(":", 2) for line in stream]
    except OSError:
        return ""
    for _, controllers, path in (words for words in paths if len(words) == 3):
        name = path.rpartition("/")[2]
        if controllers in ("", "name=systemd") and SERVICE.fullmatch(name):
            return name
    return ""


def ssh_address(environment: Mapping[str, str]) -> str:
    """Given an environment, return the address that SSH came from; nothing for what is no address."""
    address = environment.get("SSH_CONNECTION", "").partition(" ")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, address.partition("%")[0])
            return address
        except (OSError, ValueError):
            continue
    return ""


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as stream:
            return stream.readline().strip()
    except (OSError, ValueError):
        return ""
