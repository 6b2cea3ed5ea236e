"""A server with a front door for everybody, and clients at addresses of their own, for the tests of the front door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from machine.server import FOLDER, SETTINGS, Server
from obstack.model.front_door import MachineRight, Role

DOMAIN: Final = SETTINGS["domain"]
PEOPLE: Final = {"vera": Role.VIEWER, "edgar": Role.EDITOR, "ada": Role.ADMIN}
MACHINES: Final = {right.value: (right,) for right in MachineRight}
DOOR: Final = {
    "users": [{"name": name, "password": f"secret:{name}", "role": role.value} for name, role in PEOPLE.items()],
    "machines": [
        {"name": name, "password": f"secret:{name}", "may": [right.value for right in may]}
        for name, may in MACHINES.items()
    ],
}
CLIENTS: Final = tuple(f"198.51.100.{number}" for number in range(1, 20))
CLIENT6: Final = "2001:db8:1:2::7"
PROXY: Final = "198.51.100.200"
SCRIPTS: Final = ("door_client.py", "door_wire.py", "door_stand_in.py")
PLACES: Final = {
    "/prometheus/": "/prometheus/-/healthy",
    "/prometheus/api/v1/": "/prometheus/api/v1/status/runtimeinfo",
    "/prometheus/api/v1/admin/": "/prometheus/api/v1/admin/tsdb/clean_tombstones",
    "/prometheus/debug/": "/prometheus/debug/pprof/cmdline",
    "/alertmanager/": "/alertmanager/-/healthy",
    "/alertmanager/api/v2/": "/alertmanager/api/v2/status",
    "/alertmanager/api/v2/silence/": "/alertmanager/api/v2/silence/00000000-0000-4000-8000-000000000000",
    "/alertmanager/debug/": "/alertmanager/debug/pprof/cmdline",
}
"""For each route of many paths one of them that does little."""


class Door:
    """The server, and clients at addresses of their own."""

    def __init__(self, server: Server) -> None:
        """Given the server, on which the clients run too."""
        self.server = server
        self.machine = server.machine
        for address in (*(f"{client}/32" for client in (*CLIENTS, PROXY)), f"{CLIENT6}/128"):
            self.machine.succeed(["ip", "address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else [])])
        for script in SCRIPTS:
            self.machine.push(Path(__file__).with_name(script), f"/srv/door/{script}")
        kept = self.machine.succeed(["sh", "-c", f"cd {FOLDER}/config/secrets; grep . *"]).stdout
        self.passwords = dict(line.split(":", 1) for line in kept.splitlines())

    def login(self, name: str) -> str:
        """Return a login with its password."""
        return f"{name}:{self.passwords[name]}"

    def ask(self, client: str, requests: list[dict[str, Any]], **order: Any) -> list[dict[str, Any]]:
        """Ask everything in turn from an address, and return the answers."""
        six = ":" in client
        complete = {
            "port": 443,
            "address": CLIENT6 if six else self.machine.address,
            "authority": "/etc/nginx/authority.pem",
            "source": client,
            "requests": [{"method": "GET", "path": "/"} | request for request in requests],
        }
        answers: list[dict[str, Any]] = self.script("door_client.py", **(complete | order))
        return answers

    def script(self, *argv: str, **order: Any) -> Any:
        """Run one of the scripts on the machine with this order, and return its document."""
        complete = json.dumps({"host": DOMAIN, "address": self.machine.address} | order).encode()
        result = self.machine.run(["python3", f"/srv/door/{argv[0]}", *argv[1:]], stdin=complete, timeout_s=120)
        assert result.code == 0, result
        return result.json()

    def statuses(self, client: str, requests: list[dict[str, Any]], **order: Any) -> list[int]:
        """Ask everything in turn and return the statuses alone."""
        return [answer["status"] for answer in self.ask(client, requests, **order)]
