"""What can be told of a machine's stack from the names and files it keeps, without starting its agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from obstack.agent.coding import load
from obstack.agent.paths import Paths
from obstack.agent.stage import generations


@dataclass(frozen=True)
class Kept:
    """What is kept below a root (empty for the machine itself). What may not be read counts as not there."""

    root: str

    def node(self) -> str:
        """Return the name by which the generation in force calls its node; empty when there is none."""
        try:
            manifest = load(Path(Paths(self.root).current, "manifest.json").read_bytes())
            return str(manifest["node"])
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def units(self) -> tuple[str, ...]:
        """Return the names of the units of the generation in force."""
        try:
            return tuple(sorted(file.stem for file in Path(Paths(self.root).current, "units").iterdir()))
        except OSError:
            return ()

    def shipping_hosts(self) -> tuple[str, ...]:
        """Return the names of the hosts that ship their journal to this machine."""
        try:
            manifest = load(Path(Paths(self.root).current, "manifest.json").read_bytes())
            gates = [gate for gate in manifest["gates"] if gate["kind"] == "journal-received"]
            return tuple(str(host) for gate in gates for host in gate["params"]["hosts"])
        except (OSError, ValueError, LookupError, TypeError):
            return ()

    def generations(self) -> tuple[str, ...]:
        """Return the identities of the generations."""
        try:
            return tuple(generations(Paths(self.root)))
        except OSError:
            return ()
