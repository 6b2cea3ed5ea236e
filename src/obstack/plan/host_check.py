"""Judges whether a machine can be a monitored host as its file describes it. Pure: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from obstack.agent.wire import Fact
from obstack.plan.preflight import (
    JUDGES,
    MIB,
    Finding,
    Judge,
    Needs,
    Port,
    Severity,
    decide_findings,
    in_order,
    size_text,
)

DISK_BLOCK: Final = 512 * MIB
DISK_WARN: Final = 2048 * MIB
MEMORY_BLOCK: Final = 128 * MIB
CLOCKS_APART_S: Final = 5.0
COMMANDS: Final = {"systemctl": "systemd", "systemd-analyze": "systemd", "journalctl": "systemd"}


@dataclass(frozen=True)
class HostNeeds:
    """What a host's file says of the machine, and what it would take of it.

    `suite` and `architecture` are those whose programs it is given, `said` where that is written. `installed` is
    whether a generation of ours is in force there. `asked` and `answered` are when the controller looked, by its clock.
    """

    name: str
    suite: str
    architecture: str
    ports: tuple[Port, ...]
    installed: bool
    said: str
    asked: float
    answered: float


def decide_host_findings(facts: Iterable[Fact], needs: HostNeeds) -> tuple[Finding, ...]:
    """Given what was observed on a host and what its file says, return all findings, the blocking ones first."""
    known = tuple(facts)
    by_name = {fact.name: fact.value for fact in known if fact.state == "known"}
    of_machine = Needs(
        needs.name, None, needs.ports, installed=needs.installed, again=f"observability host check {needs.name}"
    )
    return in_order(
        [
            *decide_findings(known, of_machine, judges=HOST_JUDGES),
            *_suite(by_name.get("os"), needs),
            *_platform(by_name.get("architecture"), needs),
            *_time(by_name.get("clock"), needs),
        ]
    )


def _suite(value: Mapping[str, str] | None, needs: HostNeeds) -> Iterator[Finding]:
    codename = (value or {}).get("codename")
    if codename and codename != needs.suite:
        yield Finding(
            Severity.BLOCK,
            "suite",
            f"The machine runs {codename}, but would be given programs of {needs.suite}.",
            f"{needs.name}, {needs.said}",
            f"write into {needs.said}: suite: {codename}",
        )


def _platform(value: str | None, needs: HostNeeds) -> Iterator[Finding]:
    if value and value != needs.architecture:
        yield Finding(
            Severity.BLOCK,
            "platform",
            f"The machine is {value}, but would be given programs for {needs.architecture}.",
            f"{needs.name}, {needs.said}",
            f"write into {needs.said}: architecture: {value}",
        )


def _time(value: Mapping[str, Any] | None, needs: HostNeeds) -> Iterator[Finding]:
    """The host's clock was read between the question and the answer; only what lies outside of that is a difference."""
    if value is None:
        return
    apart = max(needs.asked - value["now"], value["now"] - needs.answered, 0.0)
    if apart > CLOCKS_APART_S:
        yield Finding(
            Severity.WARN,
            "clocks-apart",
            f"The host's clock and the server's are {apart:.0f} s apart; samples and log lines carry wrong times.",
            needs.name,
            "apt-get install systemd-timesyncd    on both, and check: timedatectl",
        )


def _disk(value: Mapping[str, int] | None, needs: Needs) -> Iterator[Finding]:
    free = value["free_bytes"] if value else 0
    if free < DISK_WARN:
        yield Finding(
            Severity.BLOCK if free < DISK_BLOCK else Severity.WARN,
            "disk",
            f"{size_text(free)} are free; {size_text(DISK_BLOCK)} are needed, {size_text(DISK_WARN)} are comfortable.",
            f"{needs.node}, file system of the state folder",
            "free some space",
        )


def _memory(value: Mapping[str, int] | None, needs: Needs) -> Iterator[Finding]:
    total = value["total_bytes"] if value else 0
    if total < MEMORY_BLOCK:
        yield Finding(
            Severity.BLOCK,
            "memory",
            f"{size_text(total)} of memory; {size_text(MEMORY_BLOCK)} are needed.",
            needs.node,
            "use a larger machine",
        )


HOST_JUDGES: Final[Mapping[str, Judge]] = {
    name: judge
    for name, judge in {**JUDGES, "disk": _disk, "memory": _memory}.items()
    if name not in ("systemd", "packages", "ipv6", "domain")
}
"""The judges of a server, less what its credentials, packages, front door and domain need, with a host's more modest
needs."""
