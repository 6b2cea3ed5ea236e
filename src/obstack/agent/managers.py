"""The choice of the service manager that a manifest names."""

from __future__ import annotations

from obstack.agent.services import ServiceManager
from obstack.agent.supervisor import Supervisor
from obstack.agent.systemd import Systemd


def service_manager(kind: str, root: str) -> ServiceManager:
    """Given the manifest's `manager` and the root prefix, return the service manager; ValueError for another kind."""
    if kind == "systemd":
        return Systemd(root)
    if kind == "supervisor":
        return Supervisor(root)
    raise ValueError(f"there is no service manager {kind!r}")
