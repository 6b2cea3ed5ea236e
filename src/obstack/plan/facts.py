"""The form that each fact of a machine must have. A machine that was broken into may answer anything at all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from obstack.agent import wire


@dataclass(frozen=True)
class _Word:
    """Like all of these: it holds a bare value, so that the strict decoding of the wire can judge it."""

    value: str


@dataclass(frozen=True)
class _Number:
    value: int


@dataclass(frozen=True)
class _Truth:
    value: bool


@dataclass(frozen=True)
class _Numbers:
    value: tuple[int, ...]


@dataclass(frozen=True)
class _Words:
    value: dict[str, str]


@dataclass(frozen=True)
class _SystemValue:
    id: str
    version: str
    codename: str
    name: str


@dataclass(frozen=True)
class _System:
    value: _SystemValue


@dataclass(frozen=True)
class _NumbersByName:
    value: dict[str, int]


@dataclass(frozen=True)
class _Listener:
    address: str
    port: int
    program: str
    unit: str
    protocol: str = "tcp"


@dataclass(frozen=True)
class _Listeners:
    value: tuple[_Listener, ...]


@dataclass(frozen=True)
class _Opening:
    protocol: str
    port: int
    sources: tuple[str, ...]
    purpose: str


@dataclass(frozen=True)
class _FirewallValue:
    method: str
    closed: bool
    openings: tuple[_Opening, ...]


@dataclass(frozen=True)
class _Firewall:
    value: _FirewallValue


@dataclass(frozen=True)
class _SpaceValue:
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class _Space:
    value: _SpaceValue


@dataclass(frozen=True)
class _InodesValue:
    total: int
    free: int


@dataclass(frozen=True)
class _Inodes:
    value: _InodesValue


@dataclass(frozen=True)
class _ClockValue:
    now: float
    synchronized: bool


@dataclass(frozen=True)
class _Clock:
    value: _ClockValue


FORMS: Final[dict[str, type[Any]]] = {
    "os": _System,
    "architecture": _Word,
    "user": _Number,
    "manager": _Word,
    "python": _Numbers,
    "disk": _Space,
    "memory": _Space,
    "inodes": _Inodes,
    "listeners": _Listeners,
    "ssh": _Numbers,
    "firewall": _Firewall,
    "packages": _Words,
    "paths": _Words,
    "units": _Words,
    "commands": _Words,
    "clock": _Clock,
    "ipv6": _Truth,
    "systemd": _Number,
    "users": _NumbersByName,
    "namespaces": _Truth,
}
"""By the name of the fact; wire.Fact says what each means."""


def shaped(fact: wire.Fact) -> wire.Fact:
    """Given a fact as a machine told it, return it, or one that is unknown where its value has not the right form."""
    if fact.state != "known":
        return fact
    try:
        wire.decode(FORMS[fact.name], {"value": fact.value})
    except KeyError:
        return wire.Fact(fact.name, "unknown", reason="no such fact is asked for")
    except wire.WireError as error:
        return wire.Fact(fact.name, "unknown", reason=f"the machine answered something else: {error}")
    return fact
