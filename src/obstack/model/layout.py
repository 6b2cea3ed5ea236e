"""Where things are on a node. The one place that knows paths; everything else asks a Layout."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Manager(StrEnum):
    """What runs the services of a node."""

    SYSTEMD = "systemd"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Layout:
    """The paths of one node. `root` is empty for a server, or the absolute private root of `observability up`.

    `python` runs the agent's own programs (boot recovery, journal bridge).
    """

    root: str
    manager: Manager
    python: str = "/usr/bin/python3"

    @property
    def state(self) -> str:
        """The agent's state folder: store, generations, transactions."""
        return f"{self.root}/var/lib/observability"

    @property
    def current(self) -> str:
        """The tree of the generation in force."""
        return f"{self.state}/current"

    @property
    def agent(self) -> str:
        """The agent last installed: a link to the zipapp named by its digest."""
        return f"{self.state}/agent/agent.pyz"

    @property
    def run(self) -> str:
        """Sockets and process identifiers."""
        return f"{self.root}/run"

    def etc(self, component: str) -> str:
        """The component's configuration folder: a link into the current generation."""
        return f"{self.root}/etc/{component}"

    def data(self, component: str) -> str:
        """The component's data folder, which no generation owns."""
        return f"{self.root}/var/lib/{component}"

    def artifact(self, name: str, path: str) -> str:
        """A file of an artifact, through the current generation: its absolute path stays the same over upgrades."""
        return f"{self.current}/artifacts/{name}/{path}"
