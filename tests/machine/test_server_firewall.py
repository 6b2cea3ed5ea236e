"""The firewall of a server and of a host, scanned from other machines: what is declared is reached, nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.monitored import Monitored, monitored
from machine.scanner import ALL, UDP_SAMPLE, scan
from machine.server import FOLDER
from obstack.agent.openings import Opening, covers

pytestmark = [pytest.mark.machine, pytest.mark.security]

SIXES: Final = {"mon-1": "fd00:9200::1", "web-1": "fd00:9200::10", "far-1": "fd00:9200::66"}
STRANGER: Final = 8000
"""A program of somebody else listens there, by TCP."""
ECHO: Final = 5000
"""And there by UDP."""
SECOND_SSH: Final = 2222

ECHO_PROGRAM: Final = f"""
import socket
here = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
here.bind(("::", {ECHO}))
while True:
    text, peer = here.recvfrom(100)
    here.sendto(text, peer)
"""
HOLD: Final = f"""
import socket, sys, time
here = socket.create_connection((sys.argv[1], {STRANGER}))
open("/srv/held", "w").close()
while not __import__("os").path.exists("/srv/go"):
    time.sleep(0.05)
here.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(here.recv(100))
"""


class World:
    """A server, a host of it, and a stranger to both."""

    def __init__(self, fleet: Monitored, far: Machine) -> None:
        self.fleet, self.far = fleet, far
        self.server, self.host = fleet.server.machine, fleet.hosts["web-1"]

    def configure(self, **firewall: Any) -> None:
        server = {"name": "mon-1", "address": self.server.address, "firewall": firewall}
        self.fleet.server.configure(server=server)

    def admission(self) -> dict[str, Any]:
        """Return what is admitted: the stranger to what listens by UDP."""
        sources = [f"{self.far.address}/32", SIXES["far-1"]]
        return {"port": ECHO, "protocol": "udp", "comment": "python3", "from": sources}

    def declared(self, host: str | None = None) -> dict[str, Any]:
        """Return what the program says of a machine's firewall."""
        found: dict[str, Any] = self.fleet.document("firewall", "show", *(["--host", host] if host else []))
        assert found["undone"] == []
        return found

    def ports(self, protocol: str, visitor: Machine, host: str | None = None) -> dict[str, set[int]]:
        """Return the declared ports that a machine may reach, by the address it sees the machine under."""
        openings = [
            Opening(entry["protocol"], entry["port"], tuple(entry["from"])) for entry in self.declared(host)["openings"]
        ]
        return {
            to: {o.port for o in openings if o.protocol == protocol and covers(o, by)}
            for to, by in zip(
                self.addresses("web-1" if host else "mon-1"), self.addresses(visitor.hostname), strict=True
            )
        }

    def drift(self) -> list[dict[str, Any]]:
        """Return the server's drift."""
        found: list[dict[str, Any]] = self.fleet.server.run("drift", "--host", "mon-1", "--json").json()["drift"]
        return found

    def addresses(self, name: str) -> tuple[str, str]:
        machine = {"mon-1": self.server, "web-1": self.host, "far-1": self.far}[name]
        return machine.address, SIXES[name]

    def answering(self, visitor: Machine, name: str, ports: Any = ALL, protocol: str = "tcp") -> dict[str, set[int]]:
        """Return the ports of a machine that answer a visitor, by address."""
        addresses = self.addresses(name)
        with ThreadPoolExecutor(2) as pool:
            seen = pool.map(lambda address: scan(visitor, address, ports, protocol), addresses)
        return {address: set(found.answering) for address, found in zip(addresses, seen, strict=True)}


def everywhere(world: World, name: str, ports: set[int]) -> dict[str, set[int]]:
    return dict.fromkeys(world.addresses(name), ports)


@pytest.fixture(scope="module")
def world(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> Iterator[World]:
    far = machines.create(minimal_images["trixie"], "far-1")
    world = World(monitored(machines, program_images, minimal_images, {"web-1": "trixie"}), far)
    for machine in (world.server, world.host, world.far):
        bring_up(machine)
    web = f"python3 -m http.server {STRANGER} --bind :: --directory /srv"
    world.server.write("/srv/echo.py", ECHO_PROGRAM)
    world.server.succeed(f"systemd-run --quiet --unit=shop {web}; systemd-run --quiet --unit=echo python3 /srv/echo.py")
    world.server.write("/etc/ssh/sshd_config.d/second.conf", f"Port 22\nPort {SECOND_SSH}\n")
    world.server.succeed("systemctl restart ssh")
    world.server.wait_until_succeeds(f"curl -sS http://127.0.0.1:{STRANGER}/ >/dev/null")
    world.server.wait_until_succeeds(f"ss -ltn | grep -q :{SECOND_SSH}")
    world.fleet.server.succeed("preflight", "--observability-vps", "--fix")
    yield world


def test_who_would_be_cut_off_is_told_before_with_what_keeps_them(world: World) -> None:
    findings = world.fleet.document("preflight", "--observability-vps")["findings"]
    told = {finding["what"]: finding["do"] for finding in findings if finding["code"] == "port-closes"}
    assert len(told) == 2
    shop, echo = sorted(told, reverse=True)
    assert shop.startswith(f"python3 (shop.service) listens on TCP port {STRANGER}")
    assert '{"port": 8000, "comment": "python3"}' in told[shop]
    assert '{"port": 5000, "protocol": "udp", "comment": "python3"}' in told[echo]
    closes = world.fleet.document("plan", "--host", "mon-1")["closes"]
    assert [(entry["protocol"], entry["port"]) for entry in closes] == [("tcp", STRANGER), ("udp", ECHO)]
    shown = world.fleet.server.succeed("plan", "--host", "mon-1").stdout
    assert f"TCP port {STRANGER}  python3 (shop.service)" in shown
    admit = [entry["admit"] for entry in closes]
    world.configure(admit=admit)
    assert world.fleet.document("plan", "--host", "mon-1")["closes"] == []
    assert world.admission().items() > admit[1].items()
    world.configure(admit=[world.admission()])


def test_what_is_declared_can_be_reached_and_nothing_else(world: World) -> None:
    assert world.answering(world.far, "mon-1", [STRANGER]) == everywhere(world, "mon-1", {STRANGER})
    world.far.write("/srv/hold.py", HOLD)
    held = world.far.start(["python3", "/srv/hold.py", world.server.address])
    world.far.wait_until_succeeds("test -e /srv/held")
    outcomes = {name: node["outcome"] for name, node in world.fleet.apply().items()}
    assert outcomes == {"web-1": "committed", "mon-1": "committed"}
    declared = world.declared()
    assert (declared["method"], declared["closed"]) == ("nft", True)
    purposes = {entry["port"]: entry["purpose"] for entry in declared["openings"]}
    assert purposes == {
        22: "SSH", SECOND_SSH: "SSH", 80: "front door", 443: "front door", 19531: "logs of the hosts", ECHO: "python3"
    }  # fmt: skip
    assert world.answering(world.far, "mon-1") == world.ports("tcp", world.far)
    # The journals of hosts are taken from their addresses alone, which the stranger has none of.
    known = world.answering(world.host, "mon-1", purposes)
    assert known[world.server.address] == {22, SECOND_SSH, 80, 443, 19531}
    # Whoever was connected before goes on.
    world.far.succeed("touch /srv/go")
    assert b"200 OK" in held.wait(20).stdout.encode()


def test_by_udp_too(world: World) -> None:
    ports = [ECHO, *UDP_SAMPLE]
    assert world.answering(world.far, "mon-1", ports, "udp") == world.ports("udp", world.far)
    assert world.answering(world.host, "mon-1", ports, "udp") == everywhere(world, "mon-1", set())


def test_a_port_that_is_opened_behind_our_back_is_found_by_the_scan_and_by_drift(world: World) -> None:
    declared = world.ports("tcp", world.far)
    nft(world, f"add rule inet observability input tcp dport {{ 3000, {STRANGER} }} accept")
    found = world.answering(world.far, "mon-1")
    assert found == {address: ports | {3000, STRANGER} for address, ports in declared.items()}
    assert [item["kind"] for item in world.drift()] == ["unit-undone"]
    nft(world, "flush ruleset")
    assert world.answering(world.far, "mon-1", [STRANGER]) == everywhere(world, "mon-1", {STRANGER})
    assert [item["kind"] for item in world.drift()] == ["unit-undone"]
    assert world.fleet.apply()["mon-1"]["outcome"] == "committed"
    assert world.answering(world.far, "mon-1", [22, 3000, STRANGER]) == everywhere(world, "mon-1", {22})
    assert world.drift() == []


def test_all_else_of_the_stack_listens_on_loopback(world: World) -> None:
    facts = world.server.succeed(["ss", "-Hltunp"]).stdout.splitlines()
    units = {pid: unit for unit, pid in world.fleet.pids("mon-1").items()}
    outside = set()
    for line in facts:
        local = line.split()[4]
        address, _, port = local.rpartition(":")
        pids = set(re.findall(r"pid=(\d+)", line))
        if pids & units.keys() and address.strip("[]") not in ("127.0.0.1", "::1"):
            outside.add(int(port))
    assert outside == {80, 443, 19531}


def test_whoever_comes_by_an_ssh_server_of_another_name_is_not_cut_off(world: World) -> None:
    server = world.server
    server.succeed("cp /usr/sbin/sshd /srv/elsewhere; systemd-run --quiet --unit=elsewhere /srv/elsewhere -D -p 2022")
    server.wait_until_succeeds("ss -ltn | grep -q :2022")
    before = world.declared()
    nft(world, "insert rule inet observability input tcp dport 2022 accept")
    login(world)
    ssh = "ssh -p 2022 -i /root/.ssh/key -o StrictHostKeyChecking=accept-new root@mon-1"
    world.configure(admit=[{"port": 8443}])
    apply = f"cd {FOLDER}; ./observability apply --host mon-1 --yes --json"
    done = world.host.run([*ssh.split(), apply])
    assert done.code == 3
    fault = done.json()["error"]
    assert "by TCP port 2022, which would be shut" in f"{fault['what']} {fault['detail']}"
    world.configure(admit=[{"port": 2022, "from": [world.host.address]}])
    assert world.host.run([*ssh.split(), apply]).json()["outcome"] == "committed"
    assert world.answering(world.far, "mon-1", [22, 2022]) == everywhere(world, "mon-1", {22})
    server.succeed("systemctl stop elsewhere")
    world.configure(admit=[world.admission()])
    world.fleet.apply()
    assert world.declared() == before


def test_ssh_is_let_in_wherever_it_goes_and_after_a_reboot(world: World) -> None:
    server = world.server
    # Nobody runs the program: the unit follows whoever starts or reloads sshd.
    server.write("/etc/ssh/sshd_config.d/second.conf", "Port 2200\n")
    server.succeed("systemctl restart ssh")
    settles(world, {22, 2200, SECOND_SSH}, {2200})
    server.write("/etc/ssh/sshd_config.d/second.conf", "Port 2200\nPort 2202\n")
    server.succeed("systemctl reload ssh")
    settles(world, {22, 2200, 2202}, {2200, 2202})
    # By systemd, which starts sshd for each connection.
    server.succeed(
        "systemctl stop ssh; mkdir -p /etc/systemd/system/ssh.socket.d; rm /etc/ssh/sshd_config.d/second.conf; "
        "printf '[Socket]\\nListenStream=\\nListenStream=2201\\n' > /etc/systemd/system/ssh.socket.d/port.conf; "
        "systemctl daemon-reload; systemctl disable -q ssh; systemctl enable -q --now ssh.socket"
    )
    settles(world, {22, 2200, 2201}, {2201})
    server.reboot()
    bring_up(server)
    server.wait_for_unit("observability-firewall.service")
    settles(world, {22, 443, 2201, STRANGER}, {443, 2201})
    assert world.drift() == []


def test_a_host_lets_only_the_server_to_its_exporters_and_is_not_judged_besides(world: World) -> None:
    shut = {entry["port"] for entry in world.declared("web-1")["openings"]}
    assert shut
    assert world.ports("tcp", world.far, "web-1") == everywhere(world, "web-1", set())
    found = world.answering(world.far, "web-1")
    assert {address: set(ALL) - ports for address, ports in found.items()} == everywhere(world, "web-1", shut)
    # The server is known to the host by the one address that the configuration gives it.
    served = {world.host.address: shut, SIXES["web-1"]: set[int]()}
    assert world.ports("tcp", world.server, "web-1") == served
    assert world.answering(world.server, "web-1", shut) == served


def settles(world: World, ports: set[int], answering: set[int]) -> None:
    """Return when just these of the server's ports answer the stranger; what follows others takes a moment."""
    wanted, end = everywhere(world, "mon-1", answering), time.monotonic() + 30
    while (seen := world.answering(world.far, "mon-1", ports)) != wanted:
        assert time.monotonic() < end, seen


def nft(world: World, command: str) -> None:
    """Run the stack's own nft on the server, which has no other."""
    folder = "/var/lib/observability/current/artifacts/nftables"
    libraries = f"LD_LIBRARY_PATH={folder}/usr/lib/x86_64-linux-gnu"
    world.server.succeed(f"{libraries} {folder}/usr/sbin/nft '{command}'")


def bring_up(machine: Machine) -> None:
    """Give a machine its address of IPv6."""
    six = f"ip -6 address add {SIXES[machine.hostname]}/64 dev host0 nodad"
    machine.succeed(f"sysctl -qw net.ipv6.conf.host0.disable_ipv6=0; {six}")


def login(world: World) -> None:
    """Let root of the host come to the server by SSH."""
    world.host.succeed("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/key")
    world.server.succeed("install -d -m 700 /root/.ssh")
    world.server.write("/root/.ssh/authorized_keys", world.host.succeed("cat /root/.ssh/key.pub").stdout, 0o600)
