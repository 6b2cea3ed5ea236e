"""The firewall of a monitored host: the server reaches the exporters' ports, nobody else does.

agent.pyz firewall check FILE    judge the staged rules
agent.pyz firewall up FILE       put them into force, by ufw where it is turned on, else in an nftables table of our own
agent.pyz firewall down          take back exactly what `up` did

FILE is `etc/observability-firewall/rules.json` of a generation's tree. What `up` did is kept in the state folder, for
`down` must not depend on a generation that may be another by then. Nothing of others is ever changed.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from obstack.agent import durable, nft, ufw
from obstack.agent.faults import CHANGE_FAILED, CHECK_FAILED, USAGE, AgentError
from obstack.agent.listeners import read_listeners
from obstack.agent.paths import FIREWALL_UNIT, Paths

FILE = f"etc/{FIREWALL_UNIT}/rules.json"
RECORD = "firewall.json"
SSH_PROGRAMS = ("sshd", "sshd-session", "systemd")
"""Who serves SSH: sshd, or systemd that starts it for each connection."""


@dataclass(frozen=True)
class Rules:
    """What is wanted: `ports` that only `addresses` (names are resolved here) may reach; `tool` is the nft program."""

    ports: tuple[int, ...]
    addresses: tuple[str, ...]
    tool: nft.Nft


@dataclass(frozen=True)
class Record:
    """What was done: by `method` nft or ufw, for these addresses.

    `listing` is what the kernel showed of our table then, `rules` are those of ufw that are ours.
    """

    method: str
    addresses: tuple[str, ...]
    tool: nft.Nft
    listing: str = ""
    rules: tuple[ufw.Rule, ...] = ()


def run(root: str, words: Sequence[str]) -> int:
    """Given the root and the words of the command line, do it and return the exit code."""
    try:
        match words:
            case ["check", file]:
                check(read(file))
            case ["up", file]:
                up(root, read(file))
            case ["down"]:
                down(root)
            case _:
                sys.stderr.write(f"{(__doc__ or '').strip()}\n")
                return USAGE
    except AgentError as error:
        sys.stderr.write(f"error[{error.code}] {error.what}\n{error.detail or ''}\n")
        return error.exit_code
    return 0


def read(file: str) -> Rules:
    """Given the path of a rules file in a tree, return what it says. Raises AgentError `firewall-unreadable`."""
    tree = os.path.abspath(os.path.join(os.path.dirname(file), "..", ".."))
    try:
        with open(file, encoding="utf-8") as stream:
            content = json.load(stream)
        libraries = tuple(os.path.join(tree, folder) for folder in content["libraries"])
        tool = nft.Nft(os.path.join(tree, content["nft"]), libraries)
        return Rules(tuple(int(port) for port in content["ports"]), tuple(content["addresses"]), tool)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _unreadable(file, error) from error


def check(rules: Rules) -> None:
    """Judge rules without changing anything. Raises AgentError: a port of SSH among them, no such name, nft's own."""
    _refuse_ssh(rules)
    rules.tool.check(nft.table_script(rules.ports, resolve(rules.addresses)))


def up(root: str, rules: Rules) -> None:
    """Put rules into force, in place of those of an earlier run. Raises AgentError."""
    _refuse_ssh(rules)
    before = load(root)
    addresses = _resolve_or_keep(rules, before)
    if before is not None and before.method != _method():
        down(root)
        before = None
    if _method() == "ufw":
        _up_ufw(root, rules, addresses, before)
    else:
        # Noted before it is done: a table that a crash leaves is still known to be ours.
        _save(root, Record("nft", addresses, _lasting(rules.tool)))
        rules.tool.load(nft.table_script(rules.ports, addresses))
        _save(root, Record("nft", addresses, _lasting(rules.tool), rules.tool.listing()))


def down(root: str) -> None:
    """Take back what `up` did; when it did nothing, nothing is done. Raises AgentError."""
    before = load(root)
    if before is None:
        return
    if before.method == "ufw":
        ufw.remove(before.rules)
    else:
        before.tool.remove()
    durable.remove(_place(root))


def differences(root: str, rules: Rules) -> list[str]:
    """Return how what is in force differs from what is wanted; empty when it does not. Reads only."""
    record = load(root)
    if record is None:
        return ["no rules of ours are in force"]
    if record.method != _method():
        words = "ufw was turned on" if _method() == "ufw" else "ufw was turned off"
        return [f"{words} since the rules were made"]
    try:
        if set(resolve(rules.addresses)) != set(record.addresses):
            return ["the server's name now means another address"]
    except AgentError:
        # A resolver that is away says nothing about the rules.
        rules = Rules(rules.ports, record.addresses, rules.tool)
    if record.method == "ufw":
        there = ufw.present()
        missing = [rule for rule in ufw.wanted(rules.ports, record.addresses) if rule not in there]
        return [f"ufw has no rule: {' '.join(rule.words)}" for rule in missing]
    if rules.tool.listing() != record.listing:
        return [f"the nftables table inet {nft.TABLE} was changed or removed"]
    return []


def resolve(addresses: Sequence[str]) -> tuple[str, ...]:
    """Given addresses and names, return addresses, sorted. Raises AgentError `name-unknown`."""
    found: set[str] = set()
    for address in addresses:
        try:
            found.add(str(ipaddress.ip_address(address)))
        except ValueError:
            found |= _resolve_name(address)
    return tuple(sorted(found))


def load(root: str) -> Record | None:
    """Return what `up` did last, or None. Raises AgentError `firewall-unreadable`."""
    try:
        with open(_place(root), encoding="utf-8") as stream:
            content = json.load(stream)
        rules = tuple(ufw.Rule(action, port, source) for action, port, source in content["rules"])
        tool = nft.Nft(content["nft"], tuple(content["libraries"]))
        return Record(content["method"], tuple(content["addresses"]), tool, content["listing"], rules)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _unreadable(_place(root), error) from error


def _up_ufw(root: str, rules: Rules, addresses: tuple[str, ...], before: Record | None) -> None:
    goal = ufw.wanted(rules.ports, addresses)
    there = ufw.present()
    ours = [rule for rule in goal if there.get(rule, True)]
    stale = [rule for rule in before.rules if rule not in goal] if before else []
    # Noted before it is done: what a crash leaves is still known to be ours.
    _save(root, Record("ufw", addresses, _lasting(rules.tool), rules=(*ours, *stale)))
    ufw.add(goal)
    ufw.remove(stale)
    _save(root, Record("ufw", addresses, _lasting(rules.tool), rules=tuple(ours)))


def _method() -> str:
    return "ufw" if ufw.is_active() else "nft"


def _refuse_ssh(rules: Rules) -> None:
    held = [e for e in read_listeners() if e.port in rules.ports and e.program in SSH_PROGRAMS]
    if held:
        raise AgentError(
            exit_code=CHECK_FAILED,
            code="ssh-port",
            what=f"Port {held[0].port} is to be an exporter's, but {held[0].program} listens there: SSH would be cut.",
            where=f"{held[0].address} port {held[0].port}",
            do="give the module another port in config/hosts and run: observability apply",
            state="nothing was changed",
        )


def _resolve_or_keep(rules: Rules, before: Record | None) -> tuple[str, ...]:
    """Resolve; at boot, when no resolver may be up yet, what was found the last time serves."""
    try:
        return resolve(rules.addresses)
    except AgentError:
        if before is None:
            raise
        return before.addresses


def _resolve_name(name: str) -> set[str]:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="name-unknown",
            what=f"The server's name {name} cannot be resolved on this host: {error}.",
            where="server.address",
            do="give server.address as an address in config/global.yaml and run: observability apply",
        ) from error
    return {str(answer[4][0]).partition("%")[0] for answer in answers}


def _lasting(tool: nft.Nft) -> nft.Nft:
    """Return the program by the paths that stay when `current` leads elsewhere."""
    return nft.Nft(os.path.realpath(tool.program), tuple(os.path.realpath(folder) for folder in tool.libraries))


def _save(root: str, record: Record) -> None:
    content = {
        "method": record.method,
        "addresses": list(record.addresses),
        "nft": record.tool.program,
        "libraries": list(record.tool.libraries),
        "listing": record.listing,
        "rules": [[rule.action, rule.port, rule.source] for rule in record.rules],
    }
    durable.write_file(_place(root), json.dumps(content, sort_keys=True).encode(), 0o600)


def _place(root: str) -> str:
    return os.path.join(Paths(root).state, RECORD)


def _unreadable(file: str, error: BaseException) -> AgentError:
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="firewall-unreadable",
        what=f"The firewall's file cannot be read: {error}",
        where=file,
        do="observability apply",
    )
