"""Control groups on the host: one a machine, so that its processes are known, apart from others', and killable."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from machine.library.command import send

FAMILY = "observability-tests"
"""The group all groups of these tests are in."""

# The shell joins the groups and then becomes the command: no moment outside them, no code between fork and exec.
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'


class ControlGroup:
    """The group of a name in each hierarchy that the host has mounted, be they version 1, version 2 or both."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folders = [mount / FAMILY / name for mount in _hierarchies()]

    def create(self) -> None:
        """Make the group where it does not exist."""
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            for level in reversed([folder, *folder.parents]):
                if (level / "cpuset.cpus").exists():
                    _inherit_cpus(level)

    def entered(self, argv: Sequence[str], leaf: str) -> list[str]:
        """Return the command that runs `argv` in the subgroup `leaf`.

        A subgroup, because version 2 forbids processes in a group that hands controllers to groups below it, as the
        group of a booted machine does.
        """
        doors = []
        for folder in self._folders:
            (folder / leaf).mkdir(exist_ok=True)
            if (folder / leaf / "cpuset.cpus").exists():
                _inherit_cpus(folder / leaf)
            doors.append(str(folder / leaf / "cgroup.procs"))
        return ["sh", "-c", _ENTER, "sh", *doors, "--", *argv]

    def processes(self) -> set[int]:
        """Return the host's ids of all processes in the group and below it."""
        found: set[int] = set()
        for folder in self._folders:
            for inner, _, _ in os.walk(folder):
                try:
                    found.update(int(word) for word in Path(inner, "cgroup.procs").read_text().split())
                except OSError:  # a group that was removed meanwhile has no processes
                    continue
        return found - {0}

    def processor_s(self) -> float:
        """Return the processor time that the group and those below it have used, in seconds."""
        for folder in self._folders:
            if (folder / "cpuacct.usage").exists():  # version 1: nanoseconds
                return int((folder / "cpuacct.usage").read_text()) / 1e9
            if (folder / "cpu.stat").exists():  # version 2, which also version 1's `cpu` has, without this line
                fields = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
                if "usage_usec" in fields:
                    return int(fields["usage_usec"]) / 1e6
        raise OSError(f"this machine does not account the processor time of {self.name}")

    def kill(self, timeout_s: float = 20) -> None:
        """Kill every process of the group and return when none is left.

        Raises:
            TimeoutError: some process did not end.
        """
        deadline = time.monotonic() + timeout_s
        while left := self.processes():
            for pid in left:
                send(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes of {self.name} survive SIGKILL: {sorted(left)}")
            time.sleep(0.01)

    def remove(self) -> None:
        """Kill what is left in the group and remove it."""
        self.kill()
        for folder in self._folders:
            for inner, _, _ in os.walk(folder, topdown=False):
                _remove_when_free(Path(inner))


def group_of_tree(folder: Path) -> ControlGroup:
    """Return the group for work on a file tree; it lies in the group of every folder the tree lies in."""
    return ControlGroup(f"trees{folder}")


def _hierarchies() -> list[Path]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def _inherit_cpus(folder: Path) -> None:
    """Give a version 1 cpuset its parent's processors; without any it takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip() and (folder.parent / name).exists():
            (folder / name).write_text((folder.parent / name).read_text())


def _remove_when_free(folder: Path, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:  # the kernel lets go of a killed process's group a moment later
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
