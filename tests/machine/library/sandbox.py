"""Roots with the host's network and without systemd: for building images, and for what a newcomer does by hand."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from machine.library.command import SEARCH_PATH, CommandFailed, Result, Running
from machine.library.control_group import ControlGroup, group_of_tree
from machine.library.enclosure import Enclosure
from machine.library.host import pip_settings
from machine.library.overlay import Overlay

NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--settings=no", "--timezone=off")


@dataclass(frozen=True)
class _Outside:
    """What a root needs to reach the host's network, apt mirror and package index."""

    options: tuple[str, ...]
    environment: Mapping[str, str]


def run_with_network(root: Path, argv: Sequence[str], *, timeout_s: float = 600) -> Result:
    """Run a command as root in the file tree `root`, on the host's network, with apt and pip as on the host.

    Nothing of the host's settings stays in the tree, and no process survives the command.

    Raises:
        CommandFailed: the command exited with something else than 0, or did not end in time.
    """
    outside = _outside()
    group = group_of_tree(root)
    group.create()
    settings = [f"--setenv={name}={value}" for name, value in outside.environment.items()]
    command = [*NSPAWN, *outside.options, *settings, "--pipe", "--directory", str(root), "--", *argv]
    try:
        running = Running(group.entered(command, "monitor"), shown=f"in {root}: {shlex.join(argv)}")
        result = running.wait(timeout_s)
    finally:
        group.remove()
    if result.code != 0:
        raise CommandFailed("a command in a root with network failed", result)
    return result


class Sandbox(Enclosure):
    """A throw-away Debian without systemd as process 1, on the host's network. Daemons live until it is destroyed."""

    def __init__(self, name: str, hostname: str, overlay: Overlay, group: ControlGroup) -> None:
        """`name` is the host's name for it, unlike any other on the host; `hostname` is its own."""
        super().__init__(name, overlay, group)
        self.hostname = hostname

    def open(self) -> None:
        """Start it.

        Raises:
            CommandFailed: it did not start.
        """
        outside = _outside()
        self.environment = outside.environment
        # nspawn's own process 1 reaps orphans; `sleep` only keeps it there.
        keep = ["--as-pid2", "--directory", str(self.root), "--", "sleep", "infinity"]
        self._launch([*NSPAWN, f"--machine={self.name}", f"--hostname={self.hostname}", *outside.options, *keep])
        deadline = time.monotonic() + 20
        while not self._awake():
            if time.monotonic() > deadline or not self.running:
                raise CommandFailed(f"{self.name} did not start", self._log())
            time.sleep(0.02)

    def _awake(self) -> bool:
        try:
            return self.run(["true"]).code == 0
        except CommandFailed:
            return False


def _outside() -> _Outside:
    pip = pip_settings()
    resolver = Path("/etc/resolv.conf").resolve()
    binds = [f"--bind-ro={host}:{inside}" for host, inside in pip.binds.items()]
    options = ("--resolv-conf=off", f"--bind-ro={resolver}:/etc/resolv.conf", *binds)
    return _Outside(options, {"PATH": SEARCH_PATH, "DEBIAN_FRONTEND": "noninteractive", **pip.environment})
