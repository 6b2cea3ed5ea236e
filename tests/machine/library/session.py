"""A test session on a host: its folder, its bridge, its machines; and the clearing away of what a killed one left."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machine.library.control_group import ControlGroup
from machine.library.enclosure import Enclosure
from machine.library.host import CACHE, allow_watches, locked, open_lock, try_lock
from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.network import Bridge
from machine.library.overlay import Overlay, remove_tree
from machine.library.sandbox import Sandbox


class Session:
    """One process's machines. It holds a kernel lock: a session whose lock is free is dead, to be cleared away."""

    def __init__(self, folder: Path = CACHE / "sessions") -> None:
        self._sessions = folder
        self.identity = secrets.token_hex(3)
        self._folder = folder / self.identity
        self._bridge = Bridge(_bridge_name(self.identity))
        self._lock = -1

    def open(self) -> None:
        """Clear away what killed sessions left, and make the session's folder and bridge."""
        with locked(self._sessions / "all.lock"):
            self._sweep()
            self._lock = open_lock(self._sessions / f"{self.identity}.lock")
            try_lock(self._lock)
            self._folder.mkdir()
            self._bridge.create()
            allow_watches()

    def close(self) -> None:
        """End everything of the session."""
        with locked(self._sessions / "all.lock"):
            _clear(self._folder)
            os.close(self._lock)

    def machines(self) -> Machines:
        """Return a new set of machines, to be created and destroyed together."""
        return Machines(self._folder, self._bridge)

    def _sweep(self) -> None:
        for lock in self._sessions.glob("*.lock"):
            if lock.name == "all.lock":
                continue
            descriptor = open_lock(lock)
            if try_lock(descriptor):
                _clear(lock.with_suffix(""))
            os.close(descriptor)


class Machines:
    """Machines and sandboxes that live as long as a test, or as the tests of a module."""

    def __init__(self, folder: Path, bridge: Bridge) -> None:
        self._folder = folder
        self._bridge = bridge
        self._all: list[Enclosure] = []

    def create(self, image: Image, hostname: str) -> Machine:
        """Return a new machine of the image, booted: one to two seconds. Machines of a set know each other by name."""
        machine = self.prepare(image, hostname)
        machine.boot()
        return machine

    def create_all(self, image: Image, hostnames: Sequence[str]) -> list[Machine]:
        """Return several new machines of the image, booted at the same time."""
        machines = [self.prepare(image, hostname) for hostname in hostnames]
        with ThreadPoolExecutor(len(machines)) as pool:
            list(pool.map(Machine.boot, machines))
        return machines

    def prepare(self, image: Image, hostname: str) -> Machine:
        """Return a new machine that is still off, so that files can be put into it before its first boot."""
        name, overlay, group = self._place(image, hostname)
        machine = Machine(name, hostname, overlay, group, self._bridge)
        self._all.append(machine)
        machine.write("/etc/hostname", f"{hostname}\n")
        machine.write("/etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
        # The name must sort before the file for host0 that systemd ships.
        settings = f"Address={machine.interface}\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n"
        machine.write("/etc/systemd/network/10-host0.network", f"[Match]\nName=host0\n[Network]\n{settings}")
        self._introduce()
        return machine

    def sandbox(self, image: Image, name: str) -> Sandbox:
        """Return a new sandbox of the image, open."""
        full_name, overlay, group = self._place(image, name)
        sandbox = Sandbox(full_name, name, overlay, group)
        self._all.append(sandbox)
        sandbox.write("/etc/hostname", f"{name}\n")
        sandbox.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        sandbox.open()
        return sandbox

    def destroy(self) -> None:
        """Throw all of them away."""
        while self._all:
            self._all.pop().destroy()

    def _place(self, image: Image, name: str) -> tuple[str, Overlay, ControlGroup]:
        # What tells it from others comes first: the name of its interface on the host is made of the first letters.
        folder = self._folder / f"{secrets.token_hex(2)}-{name}"
        overlay = Overlay(folder, image.layers)
        overlay.mount()
        return f"{self._folder.name}{folder.name}", overlay, ControlGroup(f"{self._folder.name}/{folder.name}")

    def _introduce(self) -> None:
        """Give each machine the names and addresses of all."""
        machines = [each for each in self._all if isinstance(each, Machine)]
        for machine in machines:
            others = [f"{other.address} {other.hostname}" for other in machines if other is not machine]
            own = ["127.0.0.1 localhost", "::1 localhost", f"{machine.address} {machine.hostname}"]
            machine.write("/etc/hosts", "".join(f"{line}\n" for line in own + others))


def _bridge_name(identity: str) -> str:
    return f"obs{identity}"


def _clear(folder: Path) -> None:
    """End what is left of the session in the folder: its processes, mounts, bridge and files, and last its lock."""
    ControlGroup(folder.name).remove()
    bridge = Bridge(_bridge_name(folder.name))
    bridge.remove()
    remove_tree(folder)
    folder.with_suffix(".lock").unlink(missing_ok=True)
