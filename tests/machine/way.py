"""A small machine that is reached by SSH, as root and as users with and without sudo."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.small import Small
from obstack.agent import wire
from obstack.edges.ssh_channel import SshChannel
from obstack.errors import Unreachable
from obstack.model.host import Host
from obstack.ports import Contents

INSPECT = wire.Request("inspect")


@dataclass
class Way:
    """A machine and how it is reached from here; every channel of it trusts the same file of known keys."""

    machine: Machine
    folder: Path
    events: list[wire.Event] = field(default_factory=list)

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def known(self) -> Path:
        return self.folder / "known_hosts"

    def host(self, user: str = "root", **ssh: object) -> Host:
        options = [f"UserKnownHostsFile={self.known}", "IdentitiesOnly=yes", *ssh.pop("options", ())]  # type: ignore[misc]
        destination = f"{user}@{self.machine.address}"
        settings = {"destination": destination, "identity": str(self.key), "options": options, **ssh}
        return Host.model_validate({"address": self.machine.address, "ssh": settings})

    def channel(self, user: str = "root", environment: Mapping[str, str] | None = None, **ssh: object) -> SshChannel:
        variables = tuple((environment or {}).items())
        return SshChannel("web-1", self.host(user, **ssh), self.folder / "cache", variables)

    def ask(self, request: wire.Request, contents: Contents | None = None, user: str = "root") -> wire.Reply:
        return self.channel(user).ask(request, contents or Contents(), self.events.append)

    def apply(self, generation: Small, user: str = "root") -> wire.Reply:
        return self.ask(generation.request, generation.contents, user)

    def unreachable(self, channel: SshChannel) -> Unreachable:
        with pytest.raises(Unreachable) as caught:
            channel.ask(INSPECT, Contents(), self.events.append)
        return caught.value

    def introduce(self) -> None:
        scan = subprocess.run(["ssh-keyscan", self.machine.address], capture_output=True, check=True)
        self.known.write_bytes(scan.stdout)


@contextmanager
def reached(machines: Machines, image: Image, folder: Path) -> Iterator[Way]:
    """Boot a machine of an image with sudo, and let root, `admin` and `guest` in with one key."""
    way = Way(machines.create(image, "web-1"), folder)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(way.key)], check=True)
    public = way.key.with_suffix(".pub").read_text()
    for home in ("/root", "/home/admin", "/home/guest"):
        way.machine.write(f"{home}/.ssh/authorized_keys", public)
    way.machine.wait_for_unit("ssh.service")
    way.introduce()
    yield way
    way.machine.destroy()
