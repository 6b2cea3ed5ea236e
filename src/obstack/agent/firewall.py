"""The firewall of a machine: only the server reaches the exporters of a host, and the server shuts all but a list.

agent.pyz firewall check FILE    judge the staged rules
agent.pyz firewall up FILE       put them into force, by ufw where it shuts the rest, else in an nftables table of ours
agent.pyz firewall keep FILE     put them right where they are in force and somebody changed them, or SSH has moved
agent.pyz firewall down          take back exactly what `up` did

FILE is `etc/observability-firewall/rules.json` of a generation's tree. What `up` did is kept in the state folder, for
`down` must not depend on a generation that may be another by then. Nothing of others is ever changed, and the ports of
SSH are never shut.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from obstack.agent import durable, listeners, lock, nft, ssh_ports, ufw, wire
from obstack.agent.durable import crash_point
from obstack.agent.faults import CHECK_FAILED, USAGE, AgentError
from obstack.agent.openings import (
    Opening,
    Rules,
    covers,
    decode,
    encode,
    merged,
    read_rules,
    settle,
    unreadable,
)
from obstack.agent.paths import FIREWALL_UNIT, Paths

FILE = f"etc/{FIREWALL_UNIT}/rules.json"
RECORD = "firewall.json"
LOCK = "firewall.lock"
LOCK_S = 60.0
T = TypeVar("T")
SSH = "SSH"
"""The purpose of the openings that nobody has to ask for."""


@dataclass(frozen=True)
class Record:
    """What was done: by `method` nft or ufw, these openings by address, `names` having meant those addresses.

    `closed` is whether all else was shut; `listing` is what the kernel showed of our table then; `rules` are those of
    ufw that are ours.
    """

    method: str
    openings: tuple[Opening, ...]
    tool: nft.Nft
    closed: bool = False
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listing: str = ""
    rules: tuple[ufw.Rule, ...] = ()


def run(root: str, words: Sequence[str]) -> int:
    """Given the root and the words of the command line, do it and return the exit code."""
    try:
        match words:
            case ["check", file]:
                check(root, read_rules(file))
            case ["up", file]:
                with _alone(root):
                    up(root, read_rules(file))
            case ["keep", file]:
                with _alone(root):
                    keep(root, read_rules(file))
            case ["down"]:
                with _alone(root):
                    down(root)
            case _:
                sys.stderr.write(f"{(__doc__ or '').strip()}\n")
                return USAGE
    except AgentError as error:
        sys.stderr.write(f"error[{error.code}] {error.what}\n{error.detail or ''}\n")
        return error.exit_code
    return 0


def check(root: str, rules: Rules) -> None:
    """Judge rules without changing anything. Raises AgentError: SSH would be cut, no such name, nft's own complaint."""
    _refuse_ssh(rules)
    openings, _ = _wanted(rules, load(root))
    if rules.closed:
        _refuse_own_connection(openings)
    rules.tool.check(nft.table_script(openings, closed=rules.closed))


def up(root: str, rules: Rules) -> None:
    """Put rules into force, in place of those of an earlier run. Raises AgentError."""
    _refuse_ssh(rules)
    before = load(root)
    openings, names = _wanted(rules, before)
    method = _method()
    if before is not None and before.method != method:
        down(root)
        before = None
    goal = Record(method, openings, _lasting(rules.tool), rules.closed, names)
    if method == "ufw":
        _up_ufw(root, goal, before)
    else:
        _up_nft(root, goal)


def keep(root: str, rules: Rules) -> None:
    """Put rules into force again where they are in force and are not as they should be; say how. Raises AgentError.

    Where none are in force, somebody has taken them back, and nothing is done.
    """
    found = differences(root, rules) if load(root) else []
    if found:
        sys.stdout.write(f"{'; '.join(found)}: put right\n")
        up(root, rules)


def down(root: str) -> None:
    """Take back what `up` did; when it did nothing, nothing is done. Raises AgentError."""
    before = load(root)
    if before is None:
        return
    # Crash here: all is in force and noted; it is taken back by the next `down`, or replaced by the next `up`.
    crash_point("firewall-withdraw")
    if before.method == "ufw":
        ufw.remove(before.rules)
    else:
        before.tool.remove()
    # Crash here: nothing is in force and still noted; to take back what is gone, or to make it anew, is no fault.
    crash_point("firewall-forget")
    durable.remove(_place(root))


def differences(root: str, rules: Rules) -> list[str]:
    """Return how what is in force differs from what is wanted; empty when it does not. Raises AgentError."""
    record = load(root)
    if record is None:
        return ["no rules of ours are in force"]
    if record.method != _method():
        return [f"ufw {'now shuts' if record.method == 'nft' else 'no longer shuts'} what it has no rule for"]
    openings, _ = _wanted(rules, record, settled=_open_ports(record))
    if (openings, rules.closed) != (record.openings, record.closed):
        missing = [f"{opening} is to be let in" for opening in openings if opening not in record.openings]
        return missing or [f"{opening} is let in" for opening in record.openings if opening not in openings]
    if record.method == "ufw":
        there = ufw.present()
        return [f"ufw has no rule: {' '.join(rule.words)}" for rule in ufw.wanted(openings) if rule not in there]
    if rules.tool.listing() != record.listing:
        return [f"the nftables table inet {nft.TABLE} was changed or removed"]
    return []


def load(root: str) -> Record | None:
    """Return what `up` did last, or None. Raises AgentError `firewall-unreadable`."""
    try:
        with open(_place(root), "rb") as stream:
            content = wire.load(stream.read())
        return Record(
            method=content["method"],
            openings=tuple(decode(entry) for entry in content["openings"]),
            tool=nft.Nft(content["nft"], tuple(content["libraries"])),
            closed=content["closed"],
            names={name: tuple(addresses) for name, addresses in content["names"].items()},
            listing=content["listing"],
            rules=tuple(ufw.Rule(*rule) for rule in content["rules"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise unreadable(_place(root), error) from error


def describe(root: str) -> dict[str, Any] | None:
    """Return what is in force as JSON, or None: method, closed, openings. Raises AgentError `firewall-unreadable`."""
    record = load(root)
    if record is None:
        return None
    openings = [encode(opening) for opening in record.openings]
    return {"method": record.method, "closed": record.closed, "openings": openings}


def _up_nft(root: str, goal: Record) -> None:
    # Crash here: nothing was done; what an earlier run did is in force and noted.
    crash_point("firewall-note")
    # Noted before it is done: a table that a crash leaves is still known to be ours.
    _save(root, goal)
    # Crash here: the rules from before are in force, whole, and drift shows it: the table is not the one noted.
    crash_point("firewall-load")
    connections = _seen(listeners.read_connections) if goal.closed else []
    goal.tool.load(nft.table_script(goal.openings, closed=goal.closed, connections=connections))
    # Crash here: the new rules are in force, whole; the next start makes the same table again and notes how it looks.
    crash_point("firewall-seen")
    _save(root, replace(goal, listing=goal.tool.listing()))


def _up_ufw(root: str, goal: Record, before: Record | None) -> None:
    wanted = ufw.wanted(goal.openings)
    there = ufw.present()
    ours = tuple(rule for rule in wanted if there.get(rule, True))
    stale = tuple(rule for rule in before.rules if rule not in wanted) if before else ()
    # Crash here: nothing was done; what an earlier run did is in force and noted.
    crash_point("firewall-note")
    # Noted before it is done: what a crash leaves is still known to be ours.
    _save(root, replace(goal, rules=(*ours, *stale)))
    # Crash here: the rules from before are in force; the next start adds those that are missing.
    crash_point("firewall-add")
    ufw.add(wanted)
    # Crash here: both the rules from before and the new ones are in force; the next start removes the former.
    crash_point("firewall-remove")
    ufw.remove(stale)
    # Crash here: all is done, and rules that are gone are noted too, which harms nobody.
    crash_point("firewall-seen")
    _save(root, replace(goal, rules=ours))


def _wanted(
    rules: Rules, before: Record | None, settled: Iterable[int] = ()
) -> tuple[tuple[Opening, ...], dict[str, tuple[str, ...]]]:
    """Return the openings by address, SSH's among them on a closed machine, and what the names mean."""
    openings, names = settle(rules, before.names if before else {})
    if rules.closed:
        known = [opening.port for opening in before.openings if opening.purpose == SSH] if before else []
        ports = _seen(lambda: ssh_ports.ssh_ports(known, frozenset(settled)))
        openings = merged((*openings, *(Opening("tcp", port, purpose=SSH) for port in ports)))
    return openings, names


def _open_ports(record: Record) -> list[int]:
    return [opening.port for opening in record.openings if opening.protocol == "tcp" and not opening.sources]


def _method() -> str:
    return "ufw" if ufw.is_active() else "nft"


def _refuse_ssh(rules: Rules) -> None:
    """On a machine that is not closed, an opening shuts its port to all but its sources."""
    held = {} if rules.closed else _seen(lambda: ssh_ports.served([opening.port for opening in rules.openings]))
    for port, program in held.items():
        raise AgentError(
            exit_code=CHECK_FAILED,
            code="ssh-port",
            what=f"Port {port} is to be an exporter's, but {program} listens there: SSH would be cut.",
            where=f"TCP port {port}",
            do="give the module another port in config/hosts and run: observability apply",
            state="nothing was changed",
        )


def _refuse_own_connection(openings: Sequence[Opening]) -> None:
    """Whoever runs this must be able to come back by the way they came, whatever serves it."""
    came = _seen(ssh_ports.connection)
    if came is None:
        return
    port, peer = came
    if not any(o.protocol == "tcp" and o.port == port and covers(o, peer) for o in openings):
        raise AgentError(
            exit_code=CHECK_FAILED,
            code="own-connection",
            what=f"This run came from {peer} by TCP port {port}, which would be shut: nobody could come so again.",
            where=f"TCP port {port}",
            do=f"add to server.firewall.admit in config/global.yaml: {json.dumps({'port': port})}",
            state="nothing was changed",
        )


def _seen(look: Callable[[], T]) -> T:
    """What cannot be looked at is not absent. Raises AgentError `sockets-unseen`."""
    try:
        return look()
    except OSError as error:
        raise AgentError(
            exit_code=CHECK_FAILED,
            code="sockets-unseen",
            what=f"It could not be seen who listens and who is connected: {error}.",
            where="/proc",
            do="observability plan",
            state="nothing was changed",
        ) from error


@contextlib.contextmanager
def _alone(root: str) -> Iterator[None]:
    """Two at a time would note what neither did. Raises AgentError `lock-held`."""
    with lock.held(os.path.join(Paths(root).state, LOCK), LOCK_S):
        yield


def _lasting(tool: nft.Nft) -> nft.Nft:
    """Return the program by the paths that stay when `current` leads elsewhere."""
    return nft.Nft(os.path.realpath(tool.program), tuple(os.path.realpath(folder) for folder in tool.libraries))


def _save(root: str, record: Record) -> None:
    content = {
        "method": record.method,
        "openings": [encode(opening) for opening in record.openings],
        "closed": record.closed,
        "names": {name: list(addresses) for name, addresses in record.names.items()},
        "nft": record.tool.program,
        "libraries": list(record.tool.libraries),
        "listing": record.listing,
        "rules": [[rule.port, rule.source, rule.protocol] for rule in record.rules],
    }
    durable.write_file(_place(root), json.dumps(content, sort_keys=True).encode(), 0o600)


def _place(root: str) -> str:
    return os.path.join(Paths(root).state, RECORD)
