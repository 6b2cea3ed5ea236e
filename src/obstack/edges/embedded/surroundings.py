"""What the machine around a private root grants: free ports, and views of the file system that only one program has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from typing import Final

from obstack.edges.embedded import processes
from obstack.errors import CheckFailed
from obstack.render.supervisor import UNSHARE

SWITCHES: Final = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
"""Settings that forbid user namespaces to ordinary users: where, the value that forbids, and what lifts it."""


class LocalSurroundings:
    """The machine on which the program runs."""

    def listeners(self, ports: Collection[int]) -> dict[int, processes.Process | None]:
        """Return those of the ports that are taken, with the process, or None where it may not be seen."""
        return processes.listeners(ports)

    def demand_private_views(self) -> None:
        """Try what Debian's Alertmanager is started with; it needs its files at a place that only root may write.

        Raises CheckFailed with the setting that forbids it.
        """
        probe = ["/bin/sh", "-c", UNSHARE, "unshare", "mount", "-n", "-t", "tmpfs", "tmpfs", "/usr/share"]
        tried = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
        if tried.returncode == 0:
            return
        raise CheckFailed(
            code="namespaces-forbidden",
            what="This machine does not let a program have a view of the file system of its own.",
            where="unshare --user --map-root-user --mount" if os.geteuid() else "unshare --mount",
            state="nothing was started",
            do=_remedy(),
            detail=tried.stderr.strip(),
        )


def _remedy() -> str:
    for path, forbidding, command in SWITCHES:
        try:
            with open(path, encoding="ascii") as file:
                value = file.read().strip()
        except FileNotFoundError:
            continue
        if value == forbidding:
            return f"as root: {command}    then run again: observability up"
    return (
        "in a container, allow it mounts (docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined), "
        "or use a virtual machine; then run again: observability up"
    )
