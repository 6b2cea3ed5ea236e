"""Many machines: which nodes a run is about, in which order they are worked on, and what it all comes to. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from obstack.errors import UsageError
from obstack.model.host import Host
from obstack.model.site import Site
from obstack.model.words import nearest

SEVERITY: Final = (4, 70, 130, 3, 5, 2, 1, 6, 0)
"""Exit codes, the worst first: a machine that needs a person, a defect, an interruption, a change that failed, …"""


@dataclass(frozen=True)
class Wave:
    """Nodes that are worked on together; the next wave begins when all of them have ended."""

    title: str
    nodes: tuple[str, ...]


def node_names(site: Site) -> tuple[str, ...]:
    """Given a site, return all of its nodes: the hosts in order of their names, then the server."""
    return (*sorted(site.hosts), site.server.name)


def group_members(site: Site) -> Mapping[str, tuple[str, ...]]:
    """Given a site, return the hosts of each group, in order; a group that is only declared has none."""
    members: dict[str, list[str]] = {name: [] for name in site.fleet.groups}
    for name, host in sorted(site.hosts.items()):
        for group in host.groups:
            members.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in members.items()}


def select_nodes(site: Site, hosts: Sequence[str] = (), limits: Sequence[str] = ()) -> tuple[str, ...]:
    """Given what `--host` and `--limit` say, return the nodes that are meant, in the order of `node_names`.

    `hosts` are names of nodes, nothing meaning all; `limits` leave of these only what is in one of the groups or fits
    one of the patterns. Raises UsageError for a name that is not known, and when nothing is left.
    """
    known = node_names(site)
    for name in hosts:
        if name not in known:
            raise _unknown("host", name, known)
    chosen = set(hosts or known)
    if limits:
        chosen &= {name for limit in limits for name in _limited(site, limit, known)}
    if not chosen:
        raise UsageError(
            code="no-node-chosen",
            what="No node is both among --host and within --limit.",
            where=f"--host {', '.join(hosts)}; --limit {', '.join(limits)}",
            state="nothing was touched",
            do="observability host list    shows the hosts and their groups",
        )
    return tuple(name for name in known if name in chosen)


def demand_hosts(site: Site, names: Iterable[str]) -> None:
    """Given names that must be hosts, canaries for example, raise UsageError for one that is not."""
    for name in names:
        if name not in site.hosts:
            raise _unknown("host", name, sorted(site.hosts))


def _limited(site: Site, limit: str, known: Sequence[str]) -> tuple[str, ...]:
    groups = group_members(site)
    found = groups[limit] if limit in groups else tuple(name for name in known if fnmatchcase(name, limit))
    if not found:
        raise _unknown("group or pattern", limit, (*groups, *known))
    return found


def _unknown(kind: str, name: str, known: Collection[str]) -> UsageError:
    shown = sorted(known)
    listed = ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "")
    return UsageError(
        code="host-unknown",
        what=f"No {kind} is called {name!r}.",
        where=f"the command line; {nearest(name, shown)}there are: {listed}",
        state="nothing was touched",
        do="observability host list    shows the hosts and their groups",
    )


def by_bundle(site: Site, nodes: Iterable[str]) -> tuple[str, ...]:
    """Given nodes, return the hosts among them that no SSH leads to: a bundle is carried to them."""
    return tuple(name for name in nodes if (host := site.hosts.get(name)) is not None and not _reachable(host))


def _reachable(host: Host) -> bool:
    return host.ssh is not None


def batch_size(batch: str, hosts: int) -> int:
    """Given `--batch`, a number or a share as `25%`, and how many hosts there are, return the size of a batch."""
    size = hosts * int(batch[:-1]) // 100 if batch.endswith("%") else int(batch)
    return max(size, 1)


def decide_waves(nodes: Sequence[str], *, server: str, canaries: Collection[str], batch: str) -> tuple[Wave, ...]:
    """Given the nodes of a run, return its waves: the canaries, the other hosts in batches, and the server last.

    The server's gates prove that it really scrapes the hosts, so that they must be as it expects them by then.
    """
    first = tuple(name for name in nodes if name in canaries and name != server)
    others = [name for name in nodes if name not in canaries and name != server]
    waves = [Wave("canaries" if len(first) > 1 else "canary", first)] if first else []
    waves += _batches(others, batch)
    if server in nodes:
        waves.append(Wave("server", (server,)))
    return tuple(waves)


def _batches(hosts: Sequence[str], batch: str) -> list[Wave]:
    size = batch_size(batch, len(hosts))
    parts = [tuple(hosts[start : start + size]) for start in range(0, len(hosts), size)]
    if len(parts) == 1:
        return [Wave("hosts", parts[0])]
    return [Wave(f"batch {number} of {len(parts)}", part) for number, part in enumerate(parts, 1)]


def worst(codes: Iterable[int]) -> int:
    """Given the exit codes of nodes, return the worst one; 0 for none. An unknown one counts as a defect."""
    return min((code if code in SEVERITY else 70 for code in codes), key=SEVERITY.index, default=0)


@dataclass(frozen=True)
class Record:
    """What is remembered of a run: for each node the generation it was to be in, and for those that are, `done`."""

    desired: Mapping[str, str]
    done: frozenset[str]


def decide_resume(record: Record | None, desired: Mapping[str, str]) -> tuple[str, ...]:
    """Given the last run and the generations desired now, by node, return the nodes that need not be worked on again.

    Those are the ones that it had brought to the very generation that is desired now. Raises UsageError when there is
    nothing to go on with.
    """
    if record is None:
        raise UsageError(
            code="nothing-to-resume",
            what="There is no earlier run to go on with.",
            where="the record of the last run",
            state="nothing was touched",
            do="observability apply",
        )
    return tuple(name for name, identity in desired.items() if name in record.done and record.desired[name] == identity)
