"""A server and the hosts that it watches, on machines of their own, with real SSH from the one to the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from machine.library.command import Result
from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.server import FOLDER, Server

KEY: Final = "/root/.ssh/id_ed25519"


class Monitored:
    """One server with the program on it, and its hosts, which have nothing but what Debian gives them."""

    def __init__(self, server: Server, hosts: Mapping[str, Machine], suites: Mapping[str, str]) -> None:
        """Given the machines and the suite of each host, let the server reach the hosts by SSH, and describe them."""
        self.server = server
        self.hosts = hosts
        self._suites = suites
        server.use_lock("fleet")
        server.machine.succeed(f"test -e {KEY} || ssh-keygen -q -t ed25519 -N '' -f {KEY}")
        public = server.machine.succeed(["cat", f"{KEY}.pub"]).stdout
        for name, machine in hosts.items():
            machine.succeed("install -d -m 700 /root/.ssh")
            machine.write("/root/.ssh/authorized_keys", public, 0o600)
            machine.wait_for_unit("ssh.service")
            server.machine.wait_until_succeeds(f"ssh-keyscan {machine.address} >> /root/.ssh/known_hosts", timeout_s=20)
            self.describe(name)
        self.configure()

    def configure(self, **sections: Any) -> None:
        """Write the server's configuration, with these sections laid over the tests' own."""
        server = {"name": "mon-1", "address": self.server.machine.address}
        self.server.configure(**{"server": server, **sections})

    def describe(self, name: str, **keys: Any) -> None:
        """Write a host's file, with these keys laid over what every host of the tests has."""
        host = {
            "address": self.hosts[name].address,
            "suite": self._suites[name],
            "modules": {},
            "scrape_interval": "2s",
            **keys,
        }
        self.server.machine.succeed(f"mkdir -p {FOLDER}/config/hosts")
        self.server.machine.write(f"{FOLDER}/config/hosts/{name}.yaml", json.dumps(host, indent=2))

    def forget(self, name: str) -> None:
        """Remove a host's file."""
        self.server.machine.succeed(["rm", f"{FOLDER}/config/hosts/{name}.yaml"])

    def document(self, *arguments: str, code: int = 0) -> Any:
        """Run the program on the server and return its document."""
        return self.server.document(*arguments, code=code)

    def apply(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Apply to all nodes, which must end with this exit code; return the outcomes by node."""
        document = self.document("apply", "--yes", *arguments, code=code)
        return {node["node"]: node for node in document["nodes"]}

    def pids(self, name: str) -> dict[str, str]:
        """Return the main process of each of our units on a host or the server that has one."""
        script = (
            "cd /var/lib/observability/current/units && for unit in *.service; do "
            'echo "$unit $(systemctl show --property=MainPID --value $unit)"; done'
        )
        lines = self.machine(name).succeed(script).stdout.splitlines()
        return dict(line.split() for line in lines if not line.endswith(" 0"))

    def current(self, name: str) -> str:
        """Return the generation in force on a node; empty when there is none."""
        return self.machine(name).run("basename $(readlink /var/lib/observability/current)").stdout.strip()

    def traces(self, name: str) -> str:
        """Return every file, link and folder of ours on a node with its times: equal texts mean that nothing moved."""
        form = "-printf '%p %y %m %s %T@ %l\\n'"
        script = f"find /etc -maxdepth 1 {form}; find /var/lib/observability /etc/systemd/system {form}"
        return self.machine(name).succeed(f"({script}) | sort").stdout

    def wait_for_journals(self) -> None:
        """Return when the server has lines of every host: one that found no server at first tries again a bit later."""
        for name in self.hosts:
            self.server.machine.wait_until_succeeds(f"ls /var/log/observability/{name}/* >/dev/null", timeout_s=90)

    def machine(self, name: str) -> Machine:
        """Return the machine of a node."""
        return self.hosts.get(name, self.server.machine)

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        """Run the program on the server, whatever its exit code."""
        return self.server.run(*arguments, environment=environment)


def monitored(
    machines: Machines,
    programs: Mapping[str, Image],
    minimal: Mapping[str, Image],
    hosts: Mapping[str, str],
    server_suite: str = "trixie",
) -> Monitored:
    """Return a server and hosts, given as name and suite, all booted; nothing is deployed on any."""
    made: dict[str, Machine] = {}
    for suite in dict.fromkeys(hosts.values()):
        names: Sequence[str] = [name for name, of in hosts.items() if of == suite]
        made |= dict(zip(names, machines.create_all(minimal[suite], names), strict=True))
    server = Server(machines.create(programs[server_suite], "mon-1"))
    return Monitored(server, {name: made[name] for name in hosts}, hosts)
