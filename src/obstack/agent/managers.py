"""The choice of the service manager that a manifest names."""

from __future__ import annotations

from obstack.agent.services import ServiceManager


def service_manager(kind: str, root: str) -> ServiceManager:
    """Given the manifest's `manager` and the root prefix, return the service manager; ValueError for another kind."""
    if kind == "systemd":
        from obstack.agent.systemd import Systemd  # the other one's libraries are not needed

        return Systemd(root)
    if kind == "supervisor":
        from obstack.agent.supervisor import Supervisor

        return Supervisor(root)
    raise ValueError(f"there is no service manager {kind!r}")
