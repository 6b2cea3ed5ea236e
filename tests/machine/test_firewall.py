"""The firewall of a host, on three machines: by nftables and by ufw, by both protocols, beside rules of others."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from contract.cache import cache_folder
from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.sandbox import run_with_network
from machine.library.session import Machines
from machine.scanner import scan
from obstack.agent import ufw, wire
from obstack.agent.openings import Opening
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import NFTABLES
from obstack.cli.progress import QuietReporter
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.packages import DebianPackages
from obstack.edges.ssh_channel import SshChannel
from obstack.errors import Unreachable
from obstack.model.components import ArtifactChoice
from obstack.model.host import Host
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.ports import Contents
from obstack.render.firewall import render_firewall, render_server_firewall
from obstack.render.recovery import render_recovery
from obstack.render.tree import Rendering, combine
from rendering.settled import KEY

pytestmark = [pytest.mark.machine, pytest.mark.security]

LAYOUT: Final = Layout("", Manager.SYSTEMD)
UNIT: Final = "observability-firewall"
PORT: Final = 9100
OTHER: Final = 9113
THIRD: Final = 9200
HOSTS: Final = "/etc/hosts"
AGENT: Final = "/usr/bin/python3 -I /var/lib/observability/agent/agent.pyz"
OURS: Final = ufw.COMMENT.encode().hex()
SIXES: Final = {"web-1": "fd00:9100::10", "mon-1": "fd00:9100::1", "far-1": "fd00:9100::66"}
FOREIGN: Final = """
table inet theirs {
  chain input {
    type filter hook input priority filter; policy accept;
    tcp dport 4444 drop
  }
}
"""
PACKAGES: Final = "nftables ufw"

one_suite = pytest.mark.parametrize("suite", ("trixie",), scope="module")
"""For what does not differ between versions of the programs."""


@dataclass
class Fleet:
    """A host, the server that may reach its exporters, and a stranger."""

    host: Machine
    server: Machine
    stranger: Machine
    folder: Path
    suite: str

    def generation(self, *ports: int) -> tuple[wire.Manifest, Contents]:
        """Return the host's generation with its firewall alone."""
        site = Site.model_validate(
            {
                "domain": "observability.example.org",
                "server": {"name": "mon-1", "address": "mon-1"},
                "hosts": {"web-1": {"address": self.host.address}},
                "gates": {"deadline": "20s"},
            }
        )
        artifact, files = _nftables(self.suite)
        firewall = render_firewall(site, "web-1", LAYOUT, {NFTABLES.name: artifact}, ports)
        return self._whole("monitored-host", firewall, files)

    def _whole(self, role: str, firewall: Rendering, files: dict[str, Path]) -> tuple[wire.Manifest, Contents]:
        active = wire.GateEntry("all units are running", "units-active", "", {}, 20)
        whole = combine((render_recovery(LAYOUT, firewall), firewall, Rendering(gates=(active,))))
        manifest, blobs = build_generation("web-1", role, LAYOUT, whole, key=KEY)
        return manifest, Contents(blobs, files)

    def _apply(self, role: str, firewall: Rendering, files: dict[str, Path]) -> wire.Reply:
        manifest, contents = self._whole(role, firewall, files)
        return self.ask(wire.Request("apply", manifest=manifest, who="a test"), contents)

    def apply(self, *ports: int, ssh_port: int = 22) -> wire.Reply:
        manifest, contents = self.generation(*ports)
        return self.ask(wire.Request("apply", manifest=manifest, who="a test"), contents, ssh_port)

    def ask(self, request: wire.Request, contents: Contents | None = None, ssh_port: int = 22) -> wire.Reply:
        ssh = {
            "destination": f"root@{self.host.address}",
            "port": ssh_port,
            "identity": str(self.folder / "key"),
            "options": [f"UserKnownHostsFile={self.folder / 'known_hosts'}", "StrictHostKeyChecking=accept-new"],
        }
        host = Host.model_validate({"address": self.host.address, "ssh": ssh})
        channel = SshChannel("web-1", host, self.folder / "cache")
        return channel.ask(request, contents or Contents(), lambda _: None)

    def close(self, *openings: Opening) -> wire.Reply:
        """Make the host a machine that shuts all but these, as a server does."""
        admit = [
            {"port": o.port, "protocol": o.protocol, **({"from": list(o.sources)} if o.sources else {})}
            for o in openings
        ]
        site = Site.model_validate(
            {
                "domain": "observability.example.org",
                # The front door's own ports are of no interest here.
                "front_door": {"plain_http": True},
                "server": {"name": "web-1", "firewall": {"admit": admit}},
            }
        )
        artifact, files = _nftables(self.suite)
        return self._apply("observability", render_server_firewall(site, LAYOUT, {NFTABLES.name: artifact}), files)

    def passing(self, *ports: int) -> set[int]:
        """Return the TCP ports of the host that answer the stranger; they must be the same by both protocols."""
        four, six = (scan(self.stranger, to, ports).answering for to in (self.host.address, SIXES["web-1"]))
        assert four == six
        return set(four)

    def points(self, verb: str) -> list[str]:
        """Return the durable steps that the agent passes when it does something to the firewall."""
        trace = "/srv/trace"
        self.host.succeed(f"rm -f {trace}; OBSERVABILITY_CRASH_TRACE={trace} {AGENT} firewall {verb}")
        names = self.host.succeed(["cat", trace]).stdout.split()
        return [name for name in dict.fromkeys(names) if name.startswith("firewall-")]

    def reaches(self, machine: Machine, port: int = PORT, *, six: bool = False) -> bool:
        """Return whether a machine gets an answer from a port of the host."""
        address = f"[{SIXES['web-1']}]" if six else self.host.address
        url = f"http://{address}:{port}/"
        return machine.run(["curl", "-gsS", "--max-time", "1", "--output", "/dev/null", url]).code == 0

    def assert_guarded(self) -> None:
        """The server and the host itself reach the exporter by both protocols, and the stranger by none."""
        machines = [self.server, self.stranger, self.host] * 2
        with ThreadPoolExecutor(len(machines)) as pool:
            reached = pool.map(lambda each, six: self.reaches(each, six=six), machines, [False] * 3 + [True] * 3)
            assert list(reached) == [True, False, True] * 2

    def assert_open(self) -> None:
        """Nothing of ours is there."""
        assert all(self.reaches(machine, six=six) for machine in (self.server, self.stranger) for six in (False, True))
        assert "inet observability" not in self.ruleset()
        assert self.host.run("test -e /var/lib/observability/firewall.json").code != 0

    def ruleset(self) -> str:
        return self.host.succeed("nft -s list ruleset").stdout

    def theirs(self) -> str:
        return self.host.succeed("nft -s list table inet theirs").stdout

    def drift(self) -> list[str]:
        return [f"{drift.kind} {drift.subject}" for drift in self.ask(wire.Request("inspect")).drift]


def _nftables(suite: str) -> tuple[Artifact, dict[str, Path]]:
    """Return the program of a suite with its archives, fetched the first time."""
    store = ArtifactCache(cache_folder("programs") / suite / "cache")
    packages = DebianPackages(cache_folder("programs") / suite / "apt", store, QuietReporter())
    artifact = packages.resolve(NFTABLES, ArtifactChoice(suite=suite), own_architecture(), runs_on=suite)
    found = {archive.entry.digest: store.find(archive.entry) for archive in artifact.archives}
    return artifact, {digest: file for digest, file in found.items() if file is not None}


@pytest.fixture(scope="module")
def image(images: ImageStore, minimal: Image) -> Image:
    """Other programs that set firewalls are on the machine, none of them turned on."""

    def prepare(root: Path) -> None:
        install = f"apt-get update && apt-get install --yes --no-install-recommends {PACKAGES} && apt-get clean"
        run_with_network(root, ["sh", "-ec", f"{install}; systemctl disable nftables ufw"])

    return images.derive(minimal, f"{minimal.name}-firewalls", PACKAGES, prepare)


@pytest.fixture(scope="module")
def fleet(machines: Machines, image: Image, suite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("firewall")
    host, server, stranger = machines.create_all(image, ["web-1", "mon-1", "far-1"])
    for machine in (host, server, stranger):
        six = f"ip -6 address add {SIXES[machine.hostname]}/64 dev host0 nodad"
        machine.succeed(f"sysctl -qw net.ipv6.conf.host0.disable_ipv6=0; {six}")
    host.succeed(f"echo '{SIXES['mon-1']} mon-1' >> /etc/hosts")
    start_exporters(host)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    host.write("/root/.ssh/authorized_keys", (folder / "key.pub").read_text())
    host.wait_for_unit("ssh.service")
    yield Fleet(host, server, stranger, folder, suite)
    machines.destroy()


def start_exporters(host: Machine) -> None:
    """Let something answer at the ports, by both protocols."""
    for port in (PORT, OTHER):
        server = f"/usr/bin/python3 -m http.server {port} --bind :: --directory /srv"
        host.succeed(f"systemd-run --quiet --unit=exporter-{port} {server}")
        host.wait_until_succeeds(f"curl -sS --output /dev/null http://127.0.0.1:{port}/")


@pytest.fixture(autouse=True)
def clean(fleet: Fleet) -> Iterator[None]:
    """Each test begins on a machine without us, with a rule of somebody else."""
    fleet.host.write("/srv/theirs.nft", FOREIGN)
    fleet.host.succeed("nft -f /srv/theirs.nft")
    yield
    fleet.ask(wire.Request("uninstall", {"purge": True}, who="a test"))
    fleet.host.succeed("ufw --force reset >/dev/null; ufw default deny incoming; nft flush ruleset")


def test_only_the_server_reaches_an_exporter_and_nothing_is_left_of_it(fleet: Fleet) -> None:
    theirs = fleet.theirs()
    fleet.assert_open()
    assert fleet.apply(PORT).outcome == "committed"
    fleet.assert_guarded()
    assert fleet.reaches(fleet.stranger, OTHER)
    assert fleet.theirs() == theirs
    assert fleet.apply(PORT).outcome == "unchanged"
    assert fleet.apply(PORT, OTHER).outcome == "committed"
    fleet.assert_guarded()
    assert not fleet.reaches(fleet.stranger, OTHER)
    assert fleet.ask(wire.Request("uninstall", {"purge": True}, who="a test")).outcome == "committed"
    fleet.assert_open()
    assert fleet.theirs() == theirs


@one_suite
def test_rules_that_somebody_removed_or_changed_are_noticed_and_made_again(fleet: Fleet) -> None:
    fleet.apply(PORT)
    fleet.host.succeed("nft delete table inet observability")
    health = fleet.ask(wire.Request("health"))
    assert [gate.kind for gate in health.gates if not gate.passed] == ["firewall"]
    for damage in (
        "true",
        "nft flush chain inet observability input",
        f"nft insert rule inet observability input tcp dport {PORT} accept",
        "nft flush ruleset; nft -f /srv/theirs.nft",
    ):
        fleet.host.succeed(damage)
        assert fleet.drift() == [f"unit-undone {UNIT}"]
        assert fleet.apply(PORT).outcome == "committed"
        fleet.assert_guarded()
        assert fleet.drift() == []


@one_suite
def test_a_firewall_that_clears_all_tables_when_it_starts_has_ours_made_again(fleet: Fleet) -> None:
    fleet.apply(PORT)
    fleet.host.write("/etc/nftables.conf", "flush ruleset\n" + FOREIGN)
    for verb in ("start", "restart", "reload"):
        fleet.host.succeed(f"systemctl {verb} nftables")
        fleet.host.wait_until_succeeds("nft list table inet observability")
        fleet.assert_guarded()
        assert fleet.theirs()
    assert fleet.drift() == []
    fleet.host.succeed("systemctl stop nftables")


@one_suite
def test_it_is_in_force_after_a_reboot(fleet: Fleet) -> None:
    fleet.apply(PORT)
    fleet.host.reboot()
    six = f"ip -6 address add {SIXES['web-1']}/64 dev host0 nodad"
    fleet.host.succeed(f"sysctl -qw net.ipv6.conf.host0.disable_ipv6=0; {six}")
    start_exporters(fleet.host)
    fleet.host.wait_for_unit(f"{UNIT}.service")
    fleet.assert_guarded()
    assert fleet.drift() == []


@one_suite
def test_a_change_that_cuts_ssh_reverts_by_itself(fleet: Fleet) -> None:
    fleet.apply(PORT)
    before = fleet.host.succeed("readlink /var/lib/observability/current").stdout
    # An SSH server that does not look like one, and a controller that is not the server: nothing foresees the cut.
    fleet.host.succeed(
        "cp /usr/sbin/sshd /srv/elsewhere; systemd-run --quiet --unit=elsewhere /srv/elsewhere -D -p 2222"
    )
    fleet.host.wait_until_succeeds("ss -ltn | grep -q :2222")
    # The connection that the change goes through is cut too, so there may be no reply: the machine is on its own.
    with contextlib.suppress(Unreachable):
        fleet.apply(PORT, 2222, ssh_port=2222)
    fleet.host.wait_until_succeeds(
        "grep -q rolled-back /var/lib/observability/transactions/*/record.jsonl", timeout_s=90
    )
    assert fleet.ask(wire.Request("inspect")).data["transactions"][0]["outcome"] == "rolled-back"
    evidence = fleet.host.succeed("cat /var/lib/observability/transactions/*/evidence/gates.json").stdout
    assert [gate["kind"] for gate in json.loads(evidence) if not gate["passed"]] == ["reachable"]
    assert fleet.host.succeed("readlink /var/lib/observability/current").stdout == before
    assert fleet.drift() == []
    fleet.assert_guarded()
    assert fleet.ask(wire.Request("inspect"), ssh_port=2222).outcome == "ok"
    fleet.host.succeed("systemctl stop elsewhere")


@one_suite
def test_the_port_of_ssh_is_never_taken(fleet: Fleet) -> None:
    fleet.apply(PORT)
    rules = fleet.ruleset()
    reply = fleet.apply(PORT, 22)
    assert reply.outcome == "refused"
    assert reply.fault is not None
    assert "Port 22 is to be an exporter's, but sshd listens there" in f"{reply.fault.what} {reply.fault.detail}"
    assert fleet.ruleset() == rules


def test_ufw_that_is_on_is_given_the_rules_and_keeps_its_own(fleet: Fleet) -> None:
    host = fleet.host
    # One of theirs says just what ours would: it stays theirs.
    host.succeed(f"ufw allow 22/tcp; ufw allow proto tcp from {fleet.server.address} to any port {OTHER} comment mine")
    host.succeed("ufw --force enable")
    theirs = host.succeed("ufw status").stdout
    assert fleet.apply(PORT, OTHER).outcome == "committed"
    fleet.assert_guarded()
    assert "inet observability" not in fleet.ruleset()
    host.succeed("ufw insert 1 allow 5555/tcp; ufw delete allow 5555/tcp; ufw insert 1 allow 6666/tcp")
    assert fleet.apply(PORT, OTHER).outcome == "unchanged"
    host.succeed(f"ufw delete allow proto tcp from {fleet.server.address} to any port {PORT}")
    assert fleet.drift() == [f"unit-undone {UNIT}"]
    assert fleet.apply(PORT, OTHER).outcome == "committed"
    fleet.assert_guarded()
    host.succeed("ufw delete allow 6666/tcp")
    assert fleet.apply(PORT).outcome == "committed"
    fleet.ask(wire.Request("uninstall", {"purge": True}, who="a test"))
    assert host.succeed("ufw status").stdout == theirs


@one_suite
def test_ufw_that_is_turned_on_or_off_later_is_noticed(fleet: Fleet) -> None:
    fleet.apply(PORT)
    fleet.host.succeed("ufw allow 22/tcp; ufw --force enable")
    assert fleet.drift() == [f"unit-undone {UNIT}"]
    assert fleet.apply(PORT).outcome == "committed"
    fleet.assert_guarded()
    assert "inet observability" not in fleet.ruleset()
    fleet.host.succeed("ufw disable")
    assert fleet.drift() == [f"unit-undone {UNIT}"]
    assert fleet.apply(PORT).outcome == "committed"
    fleet.assert_guarded()
    assert "observability" not in fleet.host.succeed("cat /etc/ufw/user.rules /etc/ufw/user6.rules").stdout


@one_suite
def test_beside_a_ufw_that_lets_everybody_in_ours_is_a_table_whatever_address_the_server_has_next(fleet: Fleet) -> None:
    host = fleet.host
    host.succeed("ufw default allow incoming; ufw --force enable")
    theirs = host.succeed("ufw status verbose; cat /etc/ufw/user.rules").stdout
    assert fleet.apply(PORT).outcome == "committed"
    fleet.assert_guarded()
    assert fleet.reaches(fleet.stranger, OTHER)
    # The server moves, which the next boot finds out by its name.
    host.succeed(f"sed -i 's/ mon-1$/ elsewhere/; s/ far-1$/ mon-1/; s/ elsewhere$/ far-1/' {HOSTS}")
    host.succeed(f"systemctl restart {UNIT}")
    assert fleet.reaches(fleet.stranger)
    assert not fleet.reaches(fleet.server)
    host.succeed(f"sed -i 's/ mon-1$/ elsewhere/; s/ far-1$/ mon-1/; s/ elsewhere$/ far-1/' {HOSTS}")
    assert fleet.apply(PORT).outcome == "committed"
    fleet.assert_guarded()
    assert host.succeed("ufw status verbose; cat /etc/ufw/user.rules").stdout == theirs
    host.succeed("ufw default deny incoming; ufw allow 22/tcp")
    assert fleet.drift() == [f"unit-undone {UNIT}"]
    assert fleet.apply(PORT).outcome == "committed"
    fleet.assert_guarded()
    host.succeed("ufw delete allow 22/tcp; ufw default allow incoming")
    fleet.ask(wire.Request("uninstall", {"purge": True}, who="a test"))
    assert host.succeed("ufw status verbose; cat /etc/ufw/user.rules").stdout == theirs


@one_suite
def test_our_rules_go_from_a_ufw_that_was_removed_with_its_files_left(fleet: Fleet) -> None:
    host = fleet.host
    host.succeed("ufw allow 22/tcp comment mine; ufw --force enable")
    theirs = host.succeed("cat /etc/ufw/user.rules /etc/ufw/user6.rules").stdout
    assert fleet.apply(PORT).outcome == "committed"
    host.succeed("ufw disable; mv /usr/sbin/ufw /srv/ufw")
    try:
        assert fleet.drift() == [f"unit-undone {UNIT}"]
        assert fleet.apply(PORT).outcome == "committed"
        fleet.assert_guarded()
        assert host.succeed("cat /etc/ufw/user.rules /etc/ufw/user6.rules").stdout == theirs
    finally:
        host.succeed("mv /srv/ufw /usr/sbin/ufw")


@one_suite
@pytest.mark.security
@pytest.mark.parametrize("default", ["deny", "allow"])
def test_a_closed_machine_with_ufw(fleet: Fleet, default: str) -> None:
    host = fleet.host
    host.succeed(f"ufw default {default} incoming; ufw allow 22/tcp; ufw allow {OTHER}/tcp; ufw --force enable")
    theirs = host.succeed("ufw status verbose").stdout
    assert fleet.close(Opening("tcp", PORT, purpose="front door")).outcome == "committed"
    assert fleet.passing(22, PORT, THIRD) == {22, PORT}
    # What a person lets in by ufw is theirs, where ufw is what shuts the rest.
    assert fleet.passing(OTHER) == ({OTHER} if default == "deny" else set())
    assert ("inet observability" in fleet.ruleset()) is (default == "allow")
    assert fleet.close(Opening("tcp", PORT, purpose="front door")).outcome == "unchanged"
    assert fleet.close(Opening("tcp", THIRD, (fleet.stranger.address, SIXES["far-1"]))).outcome == "committed"
    assert fleet.passing(22, PORT, THIRD) == {22, THIRD}
    assert fleet.drift() == []
    fleet.ask(wire.Request("uninstall", {"purge": True}, who="a test"))
    assert host.succeed("ufw status verbose").stdout == theirs


@one_suite
@pytest.mark.security
@pytest.mark.parametrize("method", ["nft", "ufw"])
def test_a_kill_at_any_step_leaves_ssh_reachable_and_the_next_start_right(fleet: Fleet, method: str) -> None:
    host = fleet.host
    if method == "ufw":
        host.succeed("ufw allow 22/tcp; ufw --force enable")
    assert fleet.close(Opening("tcp", PORT)).outcome == "committed"
    file = "/srv/tree/etc/observability-firewall/rules.json"
    current = "/var/lib/observability/current"
    host.succeed(f"rm -rf /srv/tree; cp -rL {current}/ /srv/tree; sed -i 's/{PORT}/{OTHER}/' {file}")
    passed = []
    for verb in (f"up {file}", "down"):
        host.succeed(f"{AGENT} firewall up {current}/etc/observability-firewall/rules.json")
        points = fleet.points(verb)
        passed += points
        for point in points:
            host.succeed(f"{AGENT} firewall up {current}/etc/observability-firewall/rules.json")
            killed = host.run(f"OBSERVABILITY_CRASH_AT={point} {AGENT} firewall {verb}")
            assert killed.code == -9 or killed.code == 137, (point, killed)
            assert 22 in fleet.passing(22), point
            assert fleet.passing(PORT, OTHER) <= {PORT, OTHER}, point
            host.succeed(f"{AGENT} firewall up {file}")
            assert fleet.passing(22, PORT, OTHER, THIRD) == {22, OTHER}, point
            # And what was killed on its way down is taken back whole by the next one.
            host.run(f"OBSERVABILITY_CRASH_AT={point} {AGENT} firewall {verb}")
            host.succeed(f"{AGENT} firewall down")
            assert "inet observability" not in fleet.ruleset(), point
            assert OURS not in host.succeed("cat /etc/ufw/user.rules /etc/ufw/user6.rules").stdout, point
    steps = ("note", "load", "seen") if method == "nft" else ("note", "add", "remove", "seen")
    assert passed == [f"firewall-{step}" for step in (*steps, "withdraw", "forget")]
