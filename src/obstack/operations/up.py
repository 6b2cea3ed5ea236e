"""Bring up the embedded stack under a private root: the pipeline of a server, with a supervisor of our own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from obstack.agent import wire
from obstack.errors import CheckFailed
from obstack.model.embedded import HIGHEST_PORT_BASE, PORT_BASE, listening_ports
from obstack.model.site import Site
from obstack.operations.apply import apply
from obstack.operations.asking import demand
from obstack.operations.desired import Desired
from obstack.ports import Channel, Reporter

OTHER_RUN_PATIENCE_S: Final = 120.0
"""An `up` that was killed leaves an agent that finishes its transaction; it is waited for."""


class Listener(Protocol):
    """A process that listens on a port; its text names it."""

    @property
    def pid(self) -> int:
        """Its process identifier."""


class Surroundings(Protocol):
    """What the embedded stack needs to know of the machine it runs on."""

    def listeners(self, ports: Collection[int]) -> Mapping[int, Listener | None]:
        """Return those of the ports that are taken, with the process, or None where it may not be seen."""

    def demand_private_views(self) -> None:
        """Raise CheckFailed when a program cannot be given a view of its own of the file system here."""


class PrivateManager(Protocol):
    """The service manager of a private root."""

    def pid(self) -> int | None:
        """Return its process identifier, or None when it does not run."""

    def family(self) -> Collection[int]:
        """Return the identifiers of the processes that it runs."""

    def orphans(self) -> Collection[Listener]:
        """Return what a manager that was killed has left running; `start` ends it."""

    def start(self) -> bool:
        """Start it; return False when it already runs."""


def bring_up(
    site: Site,
    build: Callable[[], Desired],
    manager: PrivateManager,
    surroundings: Surroundings,
    channel: Channel,
    reporter: Reporter,
    *,
    who: str,
) -> wire.Reply:
    """Make the private root run the site, and return the agent's reply once every gate is green.

    `build` settles what has to be downloaded, drawn or signed. Everything that can be known to be in the way is found
    before it. Raises CheckFailed for that, and the fault of the agent.
    """
    demand_free_ports(site, manager, surroundings)
    if manager.pid() is None:
        surroundings.demand_private_views()
    desired = build()
    if manager.start():
        reporter.step("Started the supervisor")
    return demand(apply(channel, desired, reporter, who=who, wait_s=OTHER_RUN_PATIENCE_S))


def demand_free_ports(site: Site, manager: PrivateManager, surroundings: Surroundings) -> None:
    """Raise CheckFailed, naming all of them with their owners, when strangers listen on ports of the site."""
    ports = listening_ports(site)
    own = {*manager.family(), *(process.pid for process in manager.orphans())}
    taken = {
        port: owner
        for port, owner in sorted(surroundings.listeners(ports).items())
        if owner is None or owner.pid not in own
    }
    if not taken:
        return
    owners = [
        f"port {port} ({ports[port]}) is taken by {owner or 'a process of another user'}"
        for port, owner in taken.items()
    ]
    free = max(ports) // 1000 * 1000 + 1000 if max(ports) < HIGHEST_PORT_BASE - 1000 else PORT_BASE
    raise CheckFailed(
        code="port-busy",
        what=f"Ports that the stack needs are busy: {', '.join(map(str, taken))}.",
        where="\n".join(owners),
        state="nothing was started",
        do=f"observability up --port-base {free}    or stop what is named above",
    )
