"""What is unpacked on a server and a host is read again, byte by byte: damage that no time stamp shows is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.monitored import Monitored, monitored
from machine.server import FOLDER

pytestmark = [pytest.mark.machine, pytest.mark.security]

STATE: Final = "/var/lib/observability"
PROGRAM: Final = "usr/bin/prometheus-node-exporter"
CACHE: Final = "/var/cache/observability/archives/sha256"


@pytest.fixture(scope="module")
def fleet(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> Iterator[Monitored]:
    fleet = monitored(machines, program_images, minimal_images, {"web-1": "trixie"})
    fleet.server.succeed("preflight", "--observability-vps", "--fix")
    nodes = fleet.apply()
    assert {node["outcome"] for node in nodes.values()} == {"committed"}
    yield fleet


def verify(fleet: Monitored, *words: str, code: int = 0) -> dict[str, Any]:
    """Verify and return the document, with the nodes by name."""
    document: dict[str, Any] = fleet.document("artifacts", "verify", *words, code=code)
    return document | {"nodes": {node["node"]: node for node in document["nodes"]}}


def standings(node: Mapping[str, Any]) -> dict[str, str]:
    """Return how the artifacts of a node stand that are not as locked."""
    found = {item["name"]: item["standing"] for item in node["artifacts"]}
    return {name: standing for name, standing in found.items() if standing != "as locked"}


def test_all_that_was_deployed_is_as_locked(fleet: Monitored) -> None:
    found = verify(fleet)
    assert {name: node["outcome"] for name, node in found["nodes"].items()} == dict.fromkeys(
        ("web-1", "mon-1"), "as locked"
    )
    assert found["cache"]["archives"] > 20
    assert found["cache"]["damaged"] == []
    assert all(item["files"] for node in found["nodes"].values() for item in node["artifacts"])


def test_a_program_changed_behind_its_time_stamp_is_found_and_mended_by_what_is_told(fleet: Monitored) -> None:
    host = fleet.hosts["web-1"]
    place = f"$(readlink -f {STATE}/current/artifacts/node-exporter/{PROGRAM})"
    # Another file in its place: nobody writes to a program that runs.
    change = "printf x | dd of=/run/other bs=1 seek=4096 conv=notrunc status=none"
    host.succeed(f"cp -p {place} /run/other && {change} && touch -r {place} /run/other && mv /run/other {place}")
    # What is compared by size and time notices nothing.
    assert fleet.document("drift", "--host", "web-1")["drift"] == []
    assert fleet.document("apply", "--yes", "--host", "web-1")["outcome"] == "unchanged"

    found = verify(fleet, "--host", "web-1", code=1)

    (item,) = [item for item in found["nodes"]["web-1"]["artifacts"] if item["standing"] != "as locked"]
    assert (item["name"], item["standing"]) == ("node-exporter", "damaged")
    (difference,) = item["differences"]
    assert difference.startswith(f"{PROGRAM} is file 0755 ")

    shown = fleet.run("artifacts", "verify", "--host", "web-1").stdout
    told = next(line for line in shown.splitlines() if "do: on web-1: rm " in line)
    removal, _, apply = told.partition("do: on web-1: ")[2].partition("    then: ")
    host.succeed(removal)
    fleet.server.succeed(*apply.removeprefix("observability ").split(), "--yes")
    assert standings(verify(fleet, "--host", "web-1")["nodes"]["web-1"]) == {}


def test_what_is_of_another_user_or_of_no_archive_is_found(fleet: Monitored) -> None:
    place = f"$(readlink -f {STATE}/current/artifacts/prometheus)/usr/bin"
    fleet.server.machine.succeed(f"touch {place}/more; chown prometheus {place}/promtool")
    found = verify(fleet, "--host", "mon-1", code=1)
    (item,) = [item for item in found["nodes"]["mon-1"]["artifacts"] if item["standing"] != "as locked"]
    assert item["name"] == "prometheus"
    assert item["differences"][0] == "usr/bin/more is of no archive"
    assert item["differences"][1].startswith("usr/bin/promtool is file 0755 ")
    fleet.server.machine.succeed(f"rm {place}/more; chown root {place}/promtool")


def test_a_damaged_archive_of_the_cache_is_named_and_what_came_of_it_is_not_called_sound(fleet: Monitored) -> None:
    machine = fleet.server.machine
    locked = machine.succeed(["cat", f"{FOLDER}/config/artifacts.lock.json"]).json()
    archive = locked["hosts"]["trixie/amd64"]["nftables"]["archives"][0]["entry"]
    place = f"{CACHE}/{archive['digest']}"
    machine.succeed(f"cp -a {place} /run/whole; printf x | dd of={place} bs=1 seek=100 conv=notrunc status=none")
    found = verify(fleet, "--host", "web-1", code=1)
    assert found["cache"]["damaged"] == [{"name": archive["name"], "sha256": archive["digest"]}]
    assert standings(found["nodes"]["web-1"]) == {"nftables": "not compared"}
    assert "observability lock --verify" in fleet.run("artifacts", "verify", "--host", "web-1").stdout
    machine.succeed(f"mv /run/whole {place}")
    assert standings(verify(fleet, "--host", "web-1")["nodes"]["web-1"]) == {}
