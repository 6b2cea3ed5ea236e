"""Who listens on which TCP port, from /proc alone."""

from __future__ import annotations

import os
import re
import socket
import struct
from dataclasses import dataclass

LISTEN = "0A"


@dataclass(frozen=True)
class Listener:
    """A listening socket. `program` and `unit` are empty for processes that this user may not look into."""

    address: str
    port: int
    program: str
    unit: str


def read_listeners() -> list[Listener]:
    """Return all listening TCP sockets, by port; raise OSError when /proc cannot be read."""
    sockets: list[tuple[str, int, str]] = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(path):  # a kernel without IPv6 has no tcp6
            with open(path, encoding="ascii") as file:
                sockets += parse_table(file.read())
    owners = _owners({inode for _, _, inode in sockets})
    found = {Listener(address, port, *owners.get(inode, ("", ""))) for address, port, inode in sockets}
    return sorted(found, key=lambda listener: (listener.port, listener.address))


def parse_table(text: str) -> list[tuple[str, int, str]]:
    """Given /proc/net/tcp or tcp6, return (address, port, inode) of each listening socket."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [(*_address(row[1]), row[9]) for row in rows if len(row) > 9 and row[3] == LISTEN]


def parse_unit(cgroup: str) -> str:
    """Given /proc/PID/cgroup, return the systemd unit that the process belongs to, or an empty text."""
    for line in cgroup.splitlines():
        match = re.search(r"([^/]+\.(?:service|scope))(?:/|$)", line)
        if match:
            return match[1]
    return ""


def _address(text: str) -> tuple[str, int]:
    digits, _, port = text.partition(":")
    # Each group of four bytes is a number in the machine's own byte order.
    words = [struct.pack("=I", int(digits[i : i + 8], 16)) for i in range(0, len(digits), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(words)), int(port, 16)


def _owners(inodes: set[str]) -> dict[str, tuple[str, str]]:
    owners: dict[str, tuple[str, str]] = {}
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            for inode in _sockets_of(pid) & inodes:
                owners[inode] = (_file(f"/proc/{pid}/comm").strip(), parse_unit(_file(f"/proc/{pid}/cgroup")))
    return owners


def _sockets_of(pid: str) -> set[str]:
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
