"""Who listens on which port, from /proc alone."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

LISTEN = "0A"
ESTABLISHED = "01"
UNCONNECTED = "07"
"""The state of a UDP socket that takes packets from anybody."""


@dataclass(frozen=True)
class Listener:
    """A listening socket. `program` and `unit` are empty for processes that this user may not look into."""

    address: str
    port: int
    program: str
    unit: str
    protocol: str = "tcp"

    @property
    def outside(self) -> bool:
        """Whether other machines can reach it."""
        return is_outside(self.address)


@dataclass(frozen=True)
class Connection:
    """A TCP connection that this machine has with another, seen from its own end."""

    port: int
    peer: str
    peer_port: int
    inode: str


def is_outside(address: str) -> bool:
    """Given the address of a listening socket, return whether other machines can reach it."""
    return not ipaddress.ip_address(address).is_loopback


def read_listeners() -> list[Listener]:
    """Return all listening TCP sockets, by port; raise OSError when /proc cannot be read."""
    return _owned("tcp", read_tables("tcp", LISTEN))


def read_receivers() -> list[Listener]:
    """Return all UDP sockets that take packets from anybody, by port, without those that only wait for answers.

    A client's socket has a port that the system chose. Raises OSError when /proc cannot be read.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first, last = map(int, file.read().split())
    found = read_tables("udp", UNCONNECTED)
    return _owned("udp", [row for row in found if not first <= row[1] <= last and row[1] not in DHCP_CLIENT])


DHCP_CLIENT = (68, 546)


def read_tables(protocol: str, state: str) -> list[tuple[str, int, str]]:
    """Given `tcp` or `udp` and a state, return (address, port, inode) of each socket; raise OSError."""
    sockets: list[tuple[str, int, str]] = []
    for path in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        if os.path.exists(path):  # a kernel without IPv6 has only the first
            with open(path, encoding="ascii") as file:
                sockets += parse_table(file.read(), state)
    return sockets


def read_connections() -> list[Connection]:
    """Return all established TCP connections with other machines; raise OSError when /proc cannot be read."""
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                rows = [line.split() for line in file.read().splitlines()[1:]]
            found += [
                Connection(_address(row[1])[1], *_address(row[2]), row[9])
                for row in rows
                if len(row) > 9 and row[3] == ESTABLISHED
            ]
    return [connection for connection in found if is_outside(connection.peer)]


def parse_table(text: str, state: str = LISTEN) -> list[tuple[str, int, str]]:
    """Given /proc/net/tcp, udp or their kin of IPv6, return (address, port, inode) of each socket in that state."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [(*_address(row[1]), row[9]) for row in rows if len(row) > 9 and row[3] == state]


def parse_unit(cgroup: str) -> str:
    """Given /proc/PID/cgroup, return the systemd unit that the process belongs to, or an empty text."""
    for line in cgroup.splitlines():
        match = re.search(r"([^/]+\.(?:service|scope))(?:/|$)", line)
        if match:
            return match[1]
    return ""


def _owned(protocol: str, sockets: Sequence[tuple[str, int, str]]) -> list[Listener]:
    owners = owners_of({inode for _, _, inode in sockets})
    found = {Listener(address, port, *owners.get(inode, ("", "")), protocol) for address, port, inode in sockets}
    return sorted(found, key=lambda listener: (listener.port, listener.address))


def _address(text: str) -> tuple[str, int]:
    digits, _, port = text.partition(":")
    # Each group of four bytes is a number in the machine's own byte order.
    words = [struct.pack("=I", int(digits[i : i + 8], 16)) for i in range(0, len(digits), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    address = socket.inet_ntop(family, b"".join(words))
    # A socket for both families shows addresses of IPv4 in a form of IPv6.
    return address.removeprefix("::ffff:") if "." in address else address, int(port, 16)


def owners_of(inodes: set[str]) -> dict[str, tuple[str, str]]:
    """Given sockets by inode, return the program and the unit that holds each; systemd only where nobody else does."""
    owners: dict[str, tuple[str, str]] = {}
    # In ascending order, so that whoever took a socket over from systemd comes after it.
    for pid in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int) if inodes else ():
        for inode in sockets_of(pid) & inodes:
            owners[inode] = (_file(f"/proc/{pid}/comm").strip(), parse_unit(_file(f"/proc/{pid}/cgroup")))
    return owners


def sockets_of(pid: str) -> set[str]:
    """Given a process, return the inodes of its sockets; none of one that has ended or may not be looked into."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:  # it has ended meanwhile, or belongs to somebody else
        return found
    return found


def _file(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
