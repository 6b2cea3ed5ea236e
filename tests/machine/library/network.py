"""The network between the machines of one test session: a bridge with an address range nobody else uses."""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path

from machine.library.command import Running, call

Network4 = ipaddress.IPv4Network


class Bridge:
    """A bridge on the host. The host has the range's first address; there is no route out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.range = Network4("0.0.0.0/32")
        self._given = 1

    def create(self) -> None:
        """Make the bridge on a free range. The caller holds a lock, so that two sessions cannot take the same one."""
        self.range = _free_range()
        call(["ip", "link", "add", self.name, "type", "bridge"])
        call(["ip", "address", "add", f"{self.range[1]}/{self.range.prefixlen}", "dev", self.name])
        call(["ip", "link", "set", self.name, "up"])

    def next_address(self) -> str:
        """Return an address for a new machine, with the prefix length."""
        self._given += 1
        return f"{self.range[self._given]}/{self.range.prefixlen}"

    def plug(self, interface: str) -> None:
        """Connect an interface of the host to the bridge."""
        call(["ip", "link", "set", interface, "master", self.name])

    def unplug(self, interface: str) -> None:
        """Disconnect an interface. Its other end keeps its carrier and its address: packets silently go nowhere."""
        call(["ip", "link", "set", interface, "nomaster"])

    def remove(self) -> None:
        """Remove the bridge where it exists."""
        if Path("/sys/class/net", self.name).exists():
            call(["ip", "link", "delete", self.name])


def forget_cable(machine: str) -> None:
    """Remove the cable of a machine that was cut off, if it is still there.

    The kernel keeps its network for minutes where a connection still waits for an answer from a machine that is gone.
    """
    Running(["ip", "link", "delete", f"vb-{machine}"]).wait()


def host_side(pid: int) -> str:
    """Return the host's end of the cable `host0` of the machine whose process id 1 is `pid` on the host."""
    inside = json.loads(call(["nsenter", "--target", str(pid), "--net", "ip", "-json", "link", "show", "host0"]).stdout)
    wanted = str(inside[0]["link_index"])
    for name in os.listdir("/sys/class/net"):
        index = Path("/sys/class/net", name, "ifindex")
        if index.exists() and index.read_text().strip() == wanted:
            return name
    raise LookupError(f"no interface of the host has index {wanted}")


def _free_range() -> Network4:
    taken = [
        Network4(f"{address['local']}/{address['prefixlen']}", strict=False)
        for link in json.loads(call(["ip", "-json", "-4", "address"]).stdout)
        for address in link.get("addr_info", [])
    ]
    routes = json.loads(call(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout)
    taken += [Network4(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    for candidate in Network4("10.192.0.0/10").subnets(new_prefix=24):
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise LookupError("no private range of addresses is free on this host")
