"""On which ports people reach this machine by SSH, so that no firewall of ours ever cuts them off. Reads only.

It is whoever listens now (sshd, or systemd for it), what sshd is configured for, which may be about to listen, and the
port of the connection by which whoever runs this has come.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Collection, Iterator

from obstack.agent import listeners

PROGRAMS = ("sshd", "sshd-session", "sshd-auth", "dropbear")
SYSTEMD = "systemd"
CONFIGURATION = "/etc/ssh/sshd_config"
USUAL = 22
LEVELS = 8
"""How deep files may include others."""


def ssh_ports(known: Collection[int] = (), settled: Collection[int] = (), root: str = "") -> tuple[int, ...]:
    """Return the ports of SSH, in order.

    `known` are those found earlier: they hold while no SSH server listens. Of the ports `settled` it is not looked up
    again who listens there, which spares a look at every process. Raises OSError when /proc cannot be read.
    """
    sockets = [row for row in listeners.read_tables("tcp", listeners.LISTEN) if listeners.is_outside(row[0])]
    owners = listeners.owners_of({inode for _, port, inode in sockets if port not in settled})
    programs = [(port, owners[inode][0]) for _, port, inode in sockets if inode in owners]
    found = set(known) & set(settled) & {port for _, port, _ in sockets}
    found |= {port for port, program in programs if program in PROGRAMS}
    found |= _sockets_of_systemd({port for port, program in programs if program == SYSTEMD})
    configured = configured_ports(f"{root}{CONFIGURATION}", root)
    found |= configured or set()
    if not found:
        # It is stopped, or boots after us: what it will listen on is what it did, or by its own default.
        found = set(known) or (set() if configured is None else {USUAL})
    return tuple(sorted(found))


def served(ports: Collection[int]) -> dict[int, str]:
    """Return on which of these ports SSH, or systemd for whomever, listens, and what the program is called.

    Raises OSError when /proc cannot be read.
    """
    programs = (*PROGRAMS, SYSTEMD)
    return {
        one.port: one.program for one in listeners.read_listeners() if one.port in ports and one.program in programs
    }


def configured_ports(file: str = CONFIGURATION, root: str = "", levels: int = LEVELS) -> set[int] | None:
    """Given sshd's configuration, return the ports that it names; None when there is no such file."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return None
    ports: set[int] = set()
    for line in lines:
        words = re.split(r"[\s=]+", line.split("#", 1)[0].strip(), maxsplit=1)
        key, value = words[0].lower(), words[1].strip().strip('"') if len(words) > 1 else ""
        if key == "match":
            break  # what follows holds for some connections only, and cannot name a port
        if key == "include" and levels:
            for path in _included(value, root):
                ports |= configured_ports(path, root, levels - 1) or set()
        ports |= _port(key, value)
    return ports


def connection() -> tuple[int, str] | None:
    """Return the port of this machine and the other end of the connection by which whoever runs this has come.

    It is a socket of a process that this one descends from, at a port on which something listens; whatever the program
    is called. None for whoever sits at the machine, or came in a way that leaves no such trace.
    """
    here = {found.inode: found for found in listeners.read_connections()}
    listening = {port for _, port, _ in listeners.read_tables("tcp", listeners.LISTEN)}
    for pid in _ancestors():
        for inode in sorted(listeners.sockets_of(pid) & here.keys()):
            if here[inode].port in listening:
                return here[inode].port, here[inode].peer
    return None


def _sockets_of_systemd(held: set[int]) -> set[int]:
    """Given the ports on which systemd listens, return those that are for SSH. It is asked only when there are any."""
    if not held:
        return set()
    argv = ["systemctl", "show", "--property=Id,Listen,Triggers", "*.socket"]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return held  # rather one too many than a person who is shut out
    return parse_sockets(done.stdout) & held


def parse_sockets(output: str) -> set[int]:
    """Given what `systemctl show` says of sockets, return the TCP ports of those that are for SSH."""
    ports = set()
    for block in output.split("\n\n"):
        lines = [line.partition("=") for line in block.splitlines()]
        if any(key in ("Id", "Triggers") and "ssh" in value for key, _, value in lines):
            found = [re.search(r":(\d+) \(Stream\)$", value) for key, _, value in lines if key == "Listen"]
            ports |= {int(match[1]) for match in found if match}
    return ports


def _included(value: str, root: str) -> Iterator[str]:
    for pattern in value.split():
        folder = root if pattern.startswith("/") else f"{root}/etc/ssh/"
        yield from sorted(glob.glob(f"{folder}{pattern}"))


def _port(key: str, value: str) -> set[int]:
    if key == "listenaddress":
        match = re.match(r"(?:\[[^\]]*\]|[^:\s]+):(\d+)(?:\s|$)", value)
        value = match[1] if match else ""
    elif key != "port":
        return set()
    return {int(value)} if value.isdigit() and 0 < int(value) < 65536 else set()


def _ancestors() -> Iterator[str]:
    pid = str(os.getpid())
    while pid not in ("0", "1"):
        yield pid
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                # The name of the program is in parentheses, and may hold any.
                pid = stream.read().rpartition(")")[2].split()[1]
        except OSError:
            return
