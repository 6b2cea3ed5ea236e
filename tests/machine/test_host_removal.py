"""A host that was scraped is removed: nothing of it stays at the server, and nothing of the stack on it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.monitored import monitored
from machine.server import FOLDER

pytestmark = pytest.mark.machine

PLACES = (
    "/var/lib/observability",
    "/etc/observability-exporters",
    "/etc/systemd/system/node-exporter.service",
    "/etc/systemd/system/journal-upload.service",
    "/etc/systemd/system/observability-firewall.service",
)

EVERYTHING = "getent passwd; getent group; ls /etc /etc/systemd/system /etc/systemd/system/*.wants /var/lib /var/log"


def test_a_removed_host_leaves_no_trace_on_either_side(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> None:
    made = monitored(machines, program_images, minimal_images, {"web-1": "trixie"})
    server, host = made.server, made.hosts["web-1"]
    server.succeed("preflight", "--observability-vps", "--fix")
    before = host.succeed(EVERYTHING).stdout
    assert server.document("host", "check", "web-1")["ready"]
    made.apply()
    assert server.document("host", "check", "web-1")["ready"]  # what is ours is in nobody's way
    assert server.query('up{host="web-1"} == 1')
    pids = server.pids()
    removed = server.document("host", "remove", "web-1", "--clean", "--yes")
    assert removed["server"]["outcome"] == "committed"
    assert removed["certificates"]
    assert server.document("config", "validate")["valid"]
    assert server.machine.run(f"grep -rl web-1 /etc/prometheus {FOLDER}/config/secrets").stdout == ""
    assert [
        target for target in server.prometheus("targets")["activeTargets"] if target["labels"]["host"] == "web-1"
    ] == []
    assert server.pids()["prometheus"] == pids["prometheus"]
    for place in PLACES:
        assert host.run(["test", "-e", place]).code == 1, place
    assert host.succeed(EVERYTHING).stdout == before
