"""The nft program with a table of our own. It is made and removed as a whole; no other table is looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstack.agent.faults import CHANGE_FAILED, AgentError

if TYPE_CHECKING:
    from obstack.agent.listeners import Connection
    from obstack.agent.openings import Opening

TABLE = "observability"
CHAIN = "input"
TIMEOUT_S = 30

FAMILIES = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}

LIFE = (
    # Answers to what the machine itself began, and what is told about it: too large a packet, no way there.
    "ct state established,related accept",
    "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept",
    # IPv6 has no ARP: neighbours and routers are found by these, and groups of neighbours are joined by the last ones.
    "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem, "
    "nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert, nd-redirect, "
    "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept",
    # Answers of DHCP may come from a server that was asked by broadcast, which no connection is known for.
    "udp sport 67 udp dport 68 accept",
    "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept",
)
"""What a machine needs to live, of which none is a service of its own."""

BEFORE = tuple(f"{family} saddr . tcp sport . tcp dport @before-{family} accept" for family in FAMILIES)
"""The kernel follows connections from the first rule on that asks for it, and takes those that were there for new."""


@dataclass(frozen=True)
class Nft:
    """Given the program's path and the folders of its libraries, both absolute, run it."""

    program: str
    libraries: tuple[str, ...] = ()

    def check(self, script: str) -> None:
        """Given a script, raise AgentError `firewall-refused` when the program does not accept it."""
        self._must("--check", "--file", "-", text=script)

    def load(self, script: str) -> None:
        """Given a script, put it into force, whole or not at all. Raises AgentError `firewall-refused`."""
        self._must("--file", "-", text=script)

    def listing(self) -> str:
        """Return our rules as the kernel has them, without counters; empty when they are not there."""
        done = self._run(["--stateless", "list", "chain", "inet", TABLE, CHAIN])
        return done.stdout if done.returncode == 0 else ""

    def remove(self) -> None:
        """Remove our table; one that is gone is fine. Raises AgentError `firewall-refused`."""
        self._must("--file", "-", text=_without())

    def _must(self, *arguments: str, text: str) -> None:
        done = self._run(arguments, text)
        if done.returncode:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="firewall-refused",
                what=f"nft does not accept the rules: {done.stderr.strip().splitlines()[:1]}",
                where=self.program,
                do="observability plan",
                detail=f"{done.stderr.strip()}\n{text}",
            )

    def _run(self, arguments: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        if self.libraries:
            environment["LD_LIBRARY_PATH"] = os.pathsep.join(self.libraries)
        argv = [self.program, *arguments]
        try:
            return subprocess.run(
                argv, input=text, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="firewall-unusable",
                what=f"nft cannot be run: {error}",
                where=self.program,
                do="observability apply",
            ) from error


def table_script(openings: Sequence[Opening], *, closed: bool, connections: Sequence[Connection] = ()) -> str:
    """Given openings by address, return the script that makes our table anew, in one transaction of the kernel.

    It comes before the machine's own filters, which still judge what it lets through. A closed one lets in what a
    machine lives by, the openings and `connections` that are there, and nothing else; otherwise the ports of the
    openings alone are judged.
    """
    rules = ['iifname "lo" accept', *((*LIFE, *BEFORE) if closed else ()), *_accepting(openings)]
    if not closed:
        rules += [f"{protocol} dport {_set(map(str, ports))} drop" for protocol, ports in _ports(openings).items()]
    hook = f"type filter hook input priority filter - 10; policy {'drop' if closed else 'accept'};"
    sets = [line for family in FAMILIES for line in _before(family, connections)] if closed else []
    body = [*sets, f"    chain {CHAIN} {{", *(f"        {line}" for line in (hook, *rules)), "    }"]
    return _without() + "\n".join([f"table inet {TABLE} {{", *body, "}", ""])


def _before(family: str, connections: Sequence[Connection]) -> list[str]:
    """Return the set of the connections of a family that are there now."""
    found = sorted(
        {f"{c.peer} . {c.peer_port} . {c.port}" for c in connections if (":" in c.peer) == (family == "ip6")}
    )
    elements = [f"        elements = {_set(found)}"] if found else []
    kind = f"type {FAMILIES[family]} . inet_service . inet_service; timeout 1d;"
    return [f"    set before-{family} {{", f"        {kind}", *elements, "    }"]


def _accepting(openings: Sequence[Opening]) -> list[str]:
    """Return the rules that let in; openings for the same sources share one."""
    lines = []
    for sources in sorted({opening.sources for opening in openings}):
        alike = [opening for opening in openings if opening.sources == sources]
        for protocol, ports in _ports(alike).items():
            dport = f"{protocol} dport {_set(map(str, ports))}"
            four = [source for source in sources if ":" not in source]
            six = [source for source in sources if ":" in source]
            lines += [f"{dport} accept"] if not sources else []
            lines += [f"{dport} ip saddr {_set(four)} accept"] if four else []
            lines += [f"{dport} ip6 saddr {_set(six)} accept"] if six else []
    return lines


def _ports(openings: Sequence[Opening]) -> dict[str, list[int]]:
    protocols = sorted({opening.protocol for opening in openings})
    return {name: sorted({o.port for o in openings if o.protocol == name}) for name in protocols}


def _set(items: Iterable[str]) -> str:
    return f"{{ {', '.join(items)} }}"


def _without() -> str:
    # A table that is not there cannot be deleted, so it is made first: adding what exists is no fault.
    return f"add table inet {TABLE}\ndelete table inet {TABLE}\n"
