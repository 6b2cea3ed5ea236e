"""What runs and listens on this machine, as far as the caller may see it in /proc."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from obstack.agent.listeners import parse_table

PAUSE_S: Final = 0.05


@dataclass(frozen=True)
class Process:
    """A running process. `program` is its executable, or its short name when the executable may not be seen."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.program)} (process {self.pid})"


def listeners(ports: Collection[int]) -> dict[int, Process | None]:
    """Given ports, return those that something listens on, with the process; None when it may not be seen."""
    sockets: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/self/net/{name}", encoding="ascii") as file:
                table = parse_table(file.read())
        except FileNotFoundError:  # a kernel without IPv6
            continue
        sockets.update({f"socket:[{inode}]": port for _, port, inode in table if port in ports})
    found: dict[int, Process | None] = dict.fromkeys(sockets.values())
    if sockets:
        for pid in _pids():
            for target in _open_files(pid):
                if target in sockets:
                    found[sockets[target]] = Process(pid, _program(pid))
    return found


def descendants(ancestor: int) -> set[int]:
    """Given a process identifier, return those of its children, their children and so on."""
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    family = {ancestor}
    while True:
        more = {pid for pid, parent in parents.items() if parent in family and pid not in family}
        if not more:
            return family - {ancestor}
        family |= more


def processes_of(folder: str, marker: str) -> list[Process]:
    """Return the caller's processes whose program lies below `folder` or whose environment has the line `marker`."""
    inside = os.path.realpath(folder) + "/"
    own = os.geteuid()
    found = []
    for pid in _pids():
        try:
            if os.stat(f"/proc/{pid}").st_uid != own or pid == os.getpid():
                continue
            program = os.readlink(f"/proc/{pid}/exe")
            with open(f"/proc/{pid}/environ", "rb") as file:
                marked = marker.encode() in file.read().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if marked or program.startswith(inside):
            found.append(Process(pid, program))
    return found


def end_processes(processes: Collection[Process], patience_s: float) -> None:
    """Ask the processes to end, and after `patience_s` make them."""
    for number, seconds in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        left = [process for process in processes if alive(process.pid)]
        for process in left:
            _send(process.pid, number)
        deadline = time.monotonic() + seconds
        while any(alive(process.pid) for process in left) and time.monotonic() < deadline:
            time.sleep(PAUSE_S)


def alive(pid: int) -> bool:
    """Return whether the process runs; one that has ended and only waits for its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_line(pid: int) -> list[str]:
    """Return the command line of the process; an empty one when it has ended or may not be seen."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().split("\0")[:-1]
    except OSError:
        return []


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _open_files(pid: int) -> Iterator[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue


def _program(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a process"
