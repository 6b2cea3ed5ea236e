"""Which nodes a command is about, and the way to each. A server without hosts is asked without reading anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstack.cli.composition import configurations, load_site, open_channel, open_host_channel
from obstack.cli.options import Target
from obstack.edges.environments import hosts as hosts_of
from obstack.edges.kept import Kept
from obstack.errors import UsageError
from obstack.ports import Channel

if TYPE_CHECKING:
    from obstack.model.site import Site


@dataclass(frozen=True)
class Nodes:
    """The nodes that a command is about, the server last.

    `site` is None for a server without hosts: then nothing was read, and `names` is empty. `by_bundle` are hosts that
    no SSH leads to; they are not among the names.
    """

    target: Target
    site: Site | None
    names: tuple[str, ...] = ()
    by_bundle: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether there is one node, whose own result is shown."""
        return len(self.names) + len(self.by_bundle) <= 1

    def open(self, name: str = "") -> Channel:
        """Given one of the names, or none for the single node, return the channel to it."""
        return open_node(self.target, self.site, name or (self.names[0] if self.names else ""))


def choose_nodes(target: Target, hosts: tuple[str, ...], limits: tuple[str, ...], *, judged: bool = False) -> Nodes:
    """Given what `--host` and `--limit` say, return the nodes that are meant: by default all of them.

    With `judged` the configuration's secrets are judged too. Raises ConfigurationError when there are hosts and the
    configuration has faults, UsageError for nodes that are not there or are named and cannot be reached.
    """
    if not limits and not hosts and not watches_hosts(target):
        return Nodes(target, None)
    if not limits and hosts and not watches_hosts(target) and set(hosts) == {Kept(target.layout.root).node()}:
        return Nodes(target, None)
    from obstack.plan.fleet import by_bundle, select_nodes

    site = load_site(target) if judged else configurations(target).load(target.environment).site
    names = select_nodes(site, hosts, limits)
    apart = by_bundle(site, names)
    for name in apart:
        if name in hosts or len(apart) == len(names):
            raise _by_bundle(name)
    return Nodes(target, site, tuple(name for name in names if name not in apart), apart)


def watches_hosts(target: Target) -> bool:
    """Given a target, return whether its configuration has monitored hosts. A private root has none."""
    return not target.private and bool(hosts_of(target.configuration))


def open_node(target: Target, site: Site | None, name: str) -> Channel:
    """Given a site, None for a server without hosts, and a node's name if it is known, return the channel to it."""
    if site is None:
        return open_channel(target, name)
    return open_channel(target, name) if name == site.server.name else open_host_channel(target, site, name)


def open_one(target: Target, host: str | None) -> Channel:
    """Given what a single `--host` says, return the channel to that node: the server when it says nothing."""
    return open_channel(target) if host is None else choose_nodes(target, (host,), ()).open()


def _by_bundle(name: str) -> UsageError:
    return UsageError(
        code="host-by-bundle",
        what=f"No SSH leads to {name}: a bundle is carried to it.",
        where=f"hosts.{name}.ssh",
        state="nothing was touched",
        do=f"observability host bundle {name} -o {name}.bundle    then on {name}: sudo python3 {name}.bundle apply",
    )
