"""Judges whether a machine can take the stack, before anything is written. Pure: facts in, findings out.

What could not be looked at blocks: "could not look" never becomes "is not there".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from obstack.agent.wire import Fact
from obstack.errors import WHOLE_FILE, Problem, StackError
from obstack.plan.closing import Closing

GIB: Final = 1 << 30
MIB: Final = 1 << 20
VERIFIED: Final = frozenset({("debian", "12"), ("debian", "13")})
DISK_BLOCK: Final = 2 * GIB
DISK_WARN: Final = 10 * GIB
MEMORY_BLOCK: Final = 512 * MIB
MEMORY_WARN: Final = 1024 * MIB
INODES_BLOCK: Final = 10_000


UNITS: Final = (
    "prometheus",
    "alertmanager",
    "node-exporter",
    "blackbox-exporter",
    "nginx",
    "observability-firewall",
    "observability-recover",
)
PATHS: Final = ("/etc/prometheus", "/etc/alertmanager", "/etc/blackbox-exporter", "/etc/nginx")
PACKAGES: Final = (
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "prometheus-blackbox-exporter",
    "nginx",
)
"""What a generation takes for itself on a server, so that nobody else may have it: asked about by name."""

DECRYPTS: Final = 250
"""The first version of systemd that has LoadCredentialEncrypted=."""

PROVIDERS: Final[Mapping[str, str]] = {"systemctl": "systemd", "systemd-analyze": "systemd", "journalctl": "systemd"}
"""The programs that must be there, and the package that holds each."""


class Severity(StrEnum):
    """What a finding means for the run."""

    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True)
class Finding:
    """One thing found: what it is, where it was seen, and what to type against it."""

    severity: Severity
    code: str
    what: str
    where: str
    do: str


@dataclass(frozen=True)
class Port:
    """A port that a unit of ours will listen on."""

    number: int
    unit: str


@dataclass(frozen=True)
class Needs:
    """What the desired generation asks of the machine.

    `domain` is None while there is no valid configuration. `installed` is whether a generation of ours is in force:
    then our own units may hold our ports. `private` is a private root of `observability up`: neither root nor systemd
    is needed there. `ipv6` is whether something of ours must listen on IPv6. `encrypted` are credentials that its
    systemd must decrypt. `again` is the command that looks once more.
    """

    node: str
    domain: str | None
    ports: tuple[Port, ...]
    retention_bytes: int | None = None
    installed: bool = False
    private: bool = False
    ipv6: bool = False
    encrypted: tuple[str, ...] = ()
    again: str = "observability preflight --observability-vps"


Judge = Callable[[Any, Needs], Iterable[Finding]]


def decide_findings(
    facts: Iterable[Fact], needs: Needs, judges: Mapping[str, Judge] | None = None
) -> tuple[Finding, ...]:
    """Given what was observed and what is needed, return all findings, the blocking ones first.

    `judges` are those of a server unless others are given.
    """
    by_name = {fact.name: fact for fact in facts}
    findings: list[Finding] = []
    for name, judge in (JUDGES if judges is None else judges).items():
        if (needs.private and name in SERVER_ONLY) or (name == "domain" and needs.domain is None):
            continue
        findings += _judged(by_name.get(name), name, judge, needs)
    return in_order(findings)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Given findings, return them with the blocking ones first, otherwise in the order given."""
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.BLOCK))


def blocked(findings: Iterable[Finding]) -> bool:
    """Return whether any finding blocks."""
    return any(finding.severity is Severity.BLOCK for finding in findings)


def closing_findings(closings: Iterable[Closing], node: str) -> tuple[Finding, ...]:
    """Given what the server's firewall will cut off, return each as a warning with what to write against it."""
    return tuple(
        Finding(
            Severity.WARN,
            "port-closes",
            f"{closing.owner} listens on {closing.protocol.upper()} port {closing.port}, "
            "which the firewall will shut to other machines.",
            f"{node}, {closing.address}",
            f"to keep it reachable, add to server.firewall.admit in config/global.yaml: {closing.entry}",
        )
        for closing in closings
    )


def configuration_findings(problems: Iterable[Problem]) -> tuple[Finding, ...]:
    """Given the faults of the configuration, return each as a blocking finding."""
    return tuple(_block("configuration", _problem_text(problem), problem.place, problem.remedy) for problem in problems)


def _problem_text(problem: Problem) -> str:
    whole = problem.path == WHOLE_FILE
    return f"The file {problem.file} {problem.message}." if whole else f"{problem.path}: {problem.message}"


def error_finding(error: StackError) -> Finding:
    """Given an error that would end an apply before anything is changed, return it as a blocking finding."""
    return Finding(Severity.BLOCK, error.code, error.what, error.where, error.do)


def _judged(fact: Fact | None, name: str, judge: Judge, needs: Needs) -> Iterable[Finding]:
    if fact is None or fact.state == "unknown":
        reason = "it was not looked at" if fact is None else fact.reason
        return [
            Finding(
                Severity.WARN if name in ADVICE else Severity.BLOCK,
                "unknown",
                f"The {QUESTIONS[name]} could not be determined: {reason}.",
                needs.node,
                f"make the cause named above go away, then run: {needs.again}",
            )
        ]
    return judge(None if fact.state == "absent" else fact.value, needs)


def _system(value: Mapping[str, str] | None, needs: Needs) -> Iterator[Finding]:
    if value is None or value["id"] not in ("debian", "ubuntu"):
        name = value["name"] if value else "a system without /etc/os-release"
        yield _block("system", f"{name} is not supported.", needs.node, "use a machine with Debian 12 or 13")
    elif (value["id"], value["version"]) not in VERIFIED:
        yield _warn(
            "system",
            f"{value['name']} is not verified; Debian 12 and 13 are.",
            needs.node,
            "go on at your own risk: the gates will tell, and a red one is rolled back",
        )


def _architecture(value: str | None, needs: Needs) -> Iterator[Finding]:
    if value == "arm64":
        yield _warn("architecture", "arm64 is not verified; amd64 is.", needs.node, "go on: the gates will tell")
    elif value != "amd64":
        yield _block("architecture", f"{value} is not supported.", needs.node, "use an amd64 machine")


def _user(value: int | None, needs: Needs) -> Iterator[Finding]:
    if value != 0:
        yield _block(
            "not-root",
            "The stack of a server is installed by root.",
            f"{needs.node}, user {value}",
            "run the same command with sudo, or without root: observability up",
        )


def _manager(value: str | None, needs: Needs) -> Iterator[Finding]:
    if value != "systemd":
        yield _block(
            "no-systemd",
            f"PID 1 is {value or 'not visible'}, not systemd.",
            needs.node,
            "on a machine without systemd run: observability up",
        )


def _systemd(value: int | None, needs: Needs) -> Iterator[Finding]:
    if needs.encrypted and (value or 0) < DECRYPTS:
        yield _block(
            "systemd",
            f"systemd {value or 'of an unknown version'} does not decrypt credentials; {DECRYPTS} and newer do.",
            f"{needs.node}, secrets.credentials: {', '.join(needs.encrypted)}",
            "declare them as plain, and put them into /etc/credstore, mode 0600",
        )


def _python(value: list[int] | None, needs: Needs) -> Iterator[Finding]:
    if value is None or tuple(value) < (3, 10):
        found = ".".join(map(str, value)) if value else "none"
        yield _block(
            "python", f"The agent needs Python 3.10 or newer; {found} was found.", needs.node, "apt-get install python3"
        )


def _disk(value: Mapping[str, int] | None, needs: Needs) -> Iterator[Finding]:
    free = value["free_bytes"] if value else 0
    where = f"{needs.node}, file system of the state folder"
    if free < DISK_BLOCK:
        yield _block(
            "disk", f"{size_text(free)} are free; {size_text(DISK_BLOCK)} are needed.", where, "free some space"
        )
    elif free < DISK_WARN:
        yield _warn(
            "disk", f"Only {size_text(free)} are free.", where, "free some space, or lower prometheus.retention_time"
        )
    if value and needs.retention_bytes and needs.retention_bytes > free:
        yield _warn(
            "retention",
            f"prometheus.retention_size is {size_text(needs.retention_bytes)}, but only {size_text(free)} are free.",
            where,
            "lower prometheus.retention_size, or enlarge the disk",
        )


def _inodes(value: Mapping[str, int] | None, needs: Needs) -> Iterator[Finding]:
    if value and value["total"] and value["free"] < INODES_BLOCK:
        yield _block("inodes", f"Only {value['free']} inodes are free.", needs.node, "delete small files nobody needs")


def _memory(value: Mapping[str, int] | None, needs: Needs) -> Iterator[Finding]:
    total = value["total_bytes"] if value else 0
    if total < MEMORY_BLOCK:
        yield _block(
            "memory",
            f"{size_text(total)} of memory; {size_text(MEMORY_BLOCK)} are needed.",
            needs.node,
            "use a larger machine",
        )
    elif total < MEMORY_WARN:
        yield _warn("memory", f"Only {size_text(total)} of memory.", needs.node, "give the machine 2 GiB or more")


def _listeners(value: list[Mapping[str, Any]] | None, needs: Needs) -> Iterator[Finding]:
    wanted = {port.number: port.unit for port in needs.ports}
    ours = {f"{unit}.service" for unit in wanted.values()} if needs.installed else set()
    seen: set[int] = set()
    for listener in value or ():
        if listener.get("protocol", "tcp") != "tcp":
            continue
        port, unit, program = listener["port"], listener.get("unit") or "", listener.get("program") or ""
        if port not in wanted or port in seen or unit in ours or unit.removesuffix(".service") in _bare(ours):
            continue
        seen.add(port)
        owner = unit or program or "a process that cannot be seen without root"
        yield _block(
            "port-busy",
            f"Port {port}, which {wanted[port]} needs, is held by {owner}.",
            f"{needs.node}, {listener['address']}:{port}",
            f"systemctl disable --now {unit}" if unit else "stop that process, or change the port in the configuration",
        )


def _bare(units: Iterable[str]) -> set[str]:
    return {unit.removesuffix(".service") for unit in units}


def _packages(value: Mapping[str, str] | None, needs: Needs) -> Iterator[Finding]:
    for name, version in sorted((value or {}).items()):
        yield _block(
            "foreign-package",
            f"The package {name} {version} is installed and would fight over the same units and paths.",
            needs.node,
            f"apt-get remove {name}",
        )


def _paths(value: Mapping[str, str] | None, needs: Needs) -> Iterator[Finding]:
    for path, kind in sorted((value or {}).items()):
        if kind not in ("absent", "ours"):
            yield _block(
                "foreign-path",
                f"{path} is a {kind} that this program did not make.",
                needs.node,
                f"mv {path} {path}.before",
            )


def _units(value: Mapping[str, str] | None, needs: Needs) -> Iterator[Finding]:
    for name, path in sorted((value or {}).items()):
        yield _block(
            "foreign-unit",
            f"A unit {name}.service that this program did not make exists.",
            f"{needs.node}, {path}",
            f"systemctl disable --now {name}.service    and remove what installed {path}",
        )


def _commands(value: Mapping[str, str] | None, needs: Needs) -> Iterator[Finding]:
    for name, path in sorted((value or {}).items()):
        if not path:
            yield _block(
                "command-missing",
                f"The program {name} is not installed.",
                needs.node,
                f"apt-get install {PROVIDERS[name]}",
            )


def _ipv6(value: bool | None, needs: Needs) -> Iterator[Finding]:
    if needs.ipv6 and not value:
        yield _block(
            "no-ipv6",
            "This machine has no IPv6, and a front door that shall listen there could not start.",
            needs.node,
            "write ipv6: false below front_door in config/global.yaml",
        )


def _clock(value: Mapping[str, Any] | None, needs: Needs) -> Iterator[Finding]:
    if value is None or not value["synchronized"]:
        yield _warn(
            "clock",
            "The clock is not synchronized; samples and alerts would carry wrong times.",
            needs.node,
            "apt-get install systemd-timesyncd    and check: timedatectl",
        )


def _domain(value: list[str] | None, needs: Needs) -> Iterator[Finding]:
    if not value:
        yield _warn(
            "domain",
            f"{needs.domain} does not resolve, so browsers will not find the front door.",
            "name resolution of this machine",
            f"add {needs.domain} to the DNS, or to /etc/hosts of those who use it",
        )


def _block(code: str, what: str, where: str, do: str) -> Finding:
    return Finding(Severity.BLOCK, code, what, where, do)


def _warn(code: str, what: str, where: str, do: str) -> Finding:
    return Finding(Severity.WARN, code, what, where, do)


def size_text(count: int) -> str:
    """Given a number of bytes, return it for people."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"


JUDGES: Final[Mapping[str, Judge]] = {
    "os": _system,
    "architecture": _architecture,
    "user": _user,
    "manager": _manager,
    "systemd": _systemd,
    "python": _python,
    "disk": _disk,
    "inodes": _inodes,
    "memory": _memory,
    "listeners": _listeners,
    "packages": _packages,
    "paths": _paths,
    "units": _units,
    "commands": _commands,
    "ipv6": _ipv6,
    "clock": _clock,
    "domain": _domain,
}
"""One judge a fact. The last fact is seen by the controller, the others by the agent."""

SERVER_ONLY: Final = frozenset(
    {"user", "manager", "systemd", "packages", "paths", "units", "commands", "ipv6", "clock", "domain"}
)
"""Facts that a private root does not depend on."""

ADVICE: Final = frozenset({"clock", "domain"})
"""Facts whose judges only ever warn; then not knowing is a warning as well."""

QUESTIONS: Final[Mapping[str, str]] = {
    "os": "operating system",
    "architecture": "architecture",
    "user": "user",
    "manager": "program that is PID 1",
    "systemd": "version of systemd",
    "python": "version of Python",
    "disk": "free space",
    "inodes": "number of free inodes",
    "memory": "memory",
    "listeners": "list of listening programs",
    "packages": "list of installed packages",
    "paths": "owner of the configuration paths",
    "units": "list of foreign units",
    "commands": "list of installed programs",
    "ipv6": "support of IPv6",
    "clock": "state of the clock",
    "domain": "address of the domain",
}
