"""A server and four hosts with real services, from nothing, by the commands a user types; and then broken on purpose.

Each break concerns one node. After it an apply makes all well again, and the others were never touched: none of their
processes was started anew, and not one file of ours was written.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pytest

from machine.library.image import Image, ImageStore
from machine.library.session import Machines
from machine.modules.story import PHP, eventually
from machine.modules.watched import CASES, watched_image
from machine.monitored import Monitored
from machine.server import FOLDER, Server
from obstack.edges.modulefile.load import load_modules

pytestmark = pytest.mark.machine

HOSTS: Final = {"web-1": "trixie", "db-1": "bookworm", "db-2": "trixie", "edge-1": "bookworm"}
ALL: Final = (*HOSTS, "mon-1")
MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "web-1": ("node", "systemd", "nginx", "php-fpm"),
    "db-1": ("node", "mysqld"),
    "db-2": ("node", "postgres", "redis"),
    "edge-1": ("node", "fail2ban", "process"),
}
WATCHED_PROGRAM: Final = {"process": {"programs": "fail2ban-server"}}
"""What the module of processes watches on its host: in the proof of all modules it is another program."""
SERVICES: Final = {
    "web-1": ("nginx", PHP["trixie"]),
    "db-1": ("mariadb",),
    "db-2": ("postgresql", "redis-server"),
    "edge-1": ("fail2ban",),
}
STATE: Final = "/var/lib/observability"
SMALL: Final = "edge-1"
"""The host whose state folder is a small file system in memory, so that its disk can be full."""

CERTIFICATE_LIFE_S: Final = 60

NOTHING_TO_SHOW: Final = {("node", "Free space")}
"""Panels about what a test machine does not have: all its disk is an overlay, which is left out as a container's is."""


@pytest.fixture(scope="module")
def fleet(
    machines: Machines, program_images: Mapping[str, Image], images: ImageStore, minimal_images: Mapping[str, Image]
) -> Iterator[Monitored]:
    """All machines with their services running, and nothing of ours on any host."""
    hosts = {name: machines.create(watched_image(images, minimal_images[suite]), name) for name, suite in HOSTS.items()}
    fleet = Monitored(Server(machines.create(program_images["trixie"], "mon-1")), hosts, HOSTS)
    for name, machine in hosts.items():
        fleet.forget(name)  # the test adds them as a user does
        machine.succeed(["systemctl", "enable", "--now", *SERVICES[name]], timeout_s=120)
    hosts[SMALL].succeed(f"mkdir -p {STATE}; mount -t tmpfs -o size=300m,mode=755 tmpfs {STATE}")
    fleet.server.succeed("preflight", "--observability-vps", "--fix")
    yield fleet


def test_from_nothing_to_all_green_by_the_command_line(fleet: Monitored) -> None:
    for name, modules in MODULES.items():
        asked = [f"--module={module}" for module in modules if module != "node"]
        address = fleet.hosts[name].address
        fleet.document("host", "add", name, f"--address={address}", f"--suite={HOSTS[name]}", *asked)
    for name, modules in MODULES.items():
        for module in modules:
            chosen = {**CASES[module].options, **WATCHED_PROGRAM.get(module, {})}
            options = [f"--option={key}={value}" for key, value in chosen.items()]
            fleet.document("module", "enable", module, f"--host={name}", *options)

    nodes = fleet.apply()

    assert {name: node["outcome"] for name, node in nodes.items()} == dict.fromkeys(ALL, "committed")
    fleet.wait_for_journals()
    assert fleet.document("health")["summary"] == {"healthy": len(ALL)}
    assert set(outcomes(fleet.apply()).values()) == {"unchanged"}
    eventually(lambda: all_up(fleet))


def test_every_scrape_off_loopback_is_encrypted(fleet: Monitored) -> None:
    targets = fleet.server.prometheus("targets")["activeTargets"]
    off = [target["scrapeUrl"] for target in targets if "//127.0.0.1:" not in target["scrapeUrl"]]
    assert off
    assert [url for url in off if not url.startswith("https://")] == []


def test_every_panel_of_the_modules_has_data_of_the_real_services(fleet: Monitored) -> None:
    boards = {name: shipped.dashboard for name, shipped in load_modules().items()}
    wanted = [
        (module, host, panel.expr)
        for host, used in MODULES.items()
        for module in used
        if (board := boards[module]) is not None
        for panel in board.panels
        if (module, panel.title) not in NOTHING_TO_SHOW
    ]
    silent: list[tuple[str, str, str]] = []

    def look() -> bool:
        silent[:] = [one for one in wanted if not series(fleet, one[2], one[1])]
        return not silent

    try:
        eventually(look, timeout_s=90, interval_s=3)
    except AssertionError:
        assert silent == []


def test_every_alert_of_the_modules_is_about_series_that_are_there(fleet: Monitored) -> None:
    names = {item["metric"]["__name__"] for item in fleet.server.query('{__name__=~".+"}')}
    groups = fleet.server.prometheus("rules?type=alert")["groups"]
    rules = [rule for group in groups if "/modules-" in group["file"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert len(rules) > len(MODULES)
    # A rule that names no series that exists could never fire.
    blind = {rule["name"] for rule in rules if not any(name in rule["query"] for name in names)}
    assert {name for name in blind if "Replica" not in name} == set(), "and nothing here is a replica"


def test_the_journals_of_all_hosts_are_read_on_the_server(fleet: Monitored) -> None:
    for name, machine in fleet.hosts.items():
        machine.succeed(["logger", "--tag", "shop", f"an order came in at {name}"])
    for name in HOSTS:
        command = f"cd {FOLDER} && ./observability logs --host {name} --grep 'an order came in' | grep 'at {name}'"
        fleet.server.machine.wait_until_succeeds(command)


# ------------------------------------------------------------------------------------------------ broken on purpose


def test_a_host_that_is_powered_off(fleet: Monitored) -> None:
    others = untouched(fleet, {"db-1"})
    fleet.hosts["db-1"].shutdown()

    assert outcomes(fleet.apply(code=6)) == {**dict.fromkeys(ALL, "unchanged"), "db-1": "unreachable"}
    assert untouched(fleet, {"db-1"}) == others

    fleet.hosts["db-1"].boot()
    converge(fleet)
    assert untouched(fleet, {"db-1"}) == others


def test_the_network_cut_in_the_middle_of_an_apply(fleet: Monitored) -> None:
    before = fleet.current("db-2")
    others = untouched(fleet, {"db-2", "mon-1"})
    change(fleet, "db-2", "19101")
    runs = len(records(fleet, "db-2"))
    running = fleet.server.start("apply", "--yes")
    eventually(lambda: len(records(fleet, "db-2")) > runs, interval_s=0.01)
    fleet.hosts["db-2"].network_cut()
    result = running.wait(180)
    assert result.code == 6, str(result)
    assert "connection" in result.stdout + result.stderr

    # The agent was alone with its change, and took it to an end of its own.
    ended = ("committed", "rolled-back", "abandoned", "refused")
    eventually(lambda: any(f'"{word}"' in records(fleet, "db-2")[-1] for word in ended), timeout_s=120)
    fleet.hosts["db-2"].network_restore()
    converge(fleet)
    assert fleet.current("db-2") != before
    assert untouched(fleet, {"db-2", "mon-1"}) == others


def test_a_server_that_is_rebooted(fleet: Monitored) -> None:
    others = untouched(fleet, {"mon-1"})
    fleet.server.machine.reboot()
    converge(fleet)
    assert set(outcomes(fleet.apply()).values()) == {"unchanged"}
    assert untouched(fleet, {"mon-1"}) == others


def test_a_certificate_that_has_expired(fleet: Monitored) -> None:
    others = untouched(fleet, {"web-1", "mon-1"})
    fleet.configure(certificates={"lifetime": f"{CERTIFICATE_LIFE_S}s"})
    fleet.document("cert", "renew", "host-web-1")
    began = time.monotonic()
    fleet.configure()
    processes = fleet.pids("web-1")
    eventually(lambda: time.monotonic() > began + CERTIFICATE_LIFE_S, timeout_s=2 * CERTIFICATE_LIFE_S)
    # A scrape goes on over the connection that it has; whoever makes a new one is told.
    assert "expired" in fleet.run("health", "--host", "web-1", "--verbose").stdout
    assert fleet.run("cert", "status").code == 1

    converge(fleet)

    fleet.server.succeed("cert", "status")
    assert fleet.pids("web-1") == processes, "the exporters take a new certificate without a restart"
    assert untouched(fleet, {"web-1", "mon-1"}) == others


def test_an_exporter_whose_program_is_damaged(fleet: Monitored) -> None:
    others = untouched(fleet, {"db-1"})
    program = f"{STATE}/current/artifacts/node-exporter/usr/bin/prometheus-node-exporter"
    fleet.hosts["db-1"].succeed(f"systemctl stop node-exporter; printf damaged > $(readlink -f {program})")
    assert fleet.run("health").code == 1

    converge(fleet)

    assert fleet.hosts["db-1"].unit_property("node-exporter.service", "ActiveState") == "active"
    assert untouched(fleet, {"db-1"}) == others


def test_a_full_disk_on_one_host(fleet: Monitored) -> None:
    generation, processes = fleet.current(SMALL), fleet.pids(SMALL)
    others = untouched(fleet, {SMALL, "mon-1"})
    left = f"$(df --output=avail -B1 {STATE} | tail -n 1)"
    fleet.hosts[SMALL].succeed(f"fallocate -l {left} {STATE}/filler")
    change(fleet, SMALL, "19102")

    nodes = fleet.apply(code=3)

    assert nodes[SMALL]["error"]["code"] == "disk-full"
    assert (fleet.current(SMALL), fleet.pids(SMALL)) == (generation, processes)
    fleet.hosts[SMALL].succeed(["rm", f"{STATE}/filler"])
    converge(fleet)
    assert fleet.current(SMALL) != generation
    assert untouched(fleet, {SMALL, "mon-1"}) == others


# ----------------------------------------------------------------------------------------------------------- tools


def outcomes(nodes: Mapping[str, Any]) -> dict[str, str]:
    """Return the outcome by node."""
    return {name: node["outcome"] for name, node in nodes.items()}


def untouched(fleet: Monitored, besides: Iterable[str]) -> dict[str, Any]:
    """Return what is true of every other node and stays so as long as nobody touches it."""
    return {name: (fleet.pids(name), fleet.traces(name)) for name in ALL if name not in besides}


def converge(fleet: Monitored) -> None:
    """Apply, and return when everything is green and every target is up."""
    fleet.apply()
    eventually(lambda: all_up(fleet), timeout_s=90)
    assert fleet.document("health")["summary"] == {"healthy": len(ALL)}


def all_up(fleet: Monitored) -> bool:
    """Whether every target of every host was scraped."""
    return all(up(fleet, name) for name in HOSTS)


def up(fleet: Monitored, host: str) -> bool:
    """Whether every target of a host was scraped, of which there must be some."""
    found = series(fleet, "up", host)
    return bool(found) and all(item["value"][1] == "1" for item in found)


def series(fleet: Monitored, expression: str, host: str) -> list[Any]:
    """Return what Prometheus knows of a host."""
    return [item for item in fleet.server.query(expression) if item["metric"].get("host") == host]


def change(fleet: Monitored, host: str, port: str) -> None:
    """Change something on a host: where its node exporter listens."""
    fleet.document("module", "enable", "node", f"--host={host}", f"--option=port={port}")


def records(fleet: Monitored, host: str) -> list[str]:
    """Return the records of the runs on a host, the last one last, as its disk has them."""
    found = fleet.hosts[host].run(
        f"cd {STATE}/transactions && for run in */; do tr -d '\\n' < $run/record.jsonl; echo; done"
    )
    return found.stdout.splitlines()
