"""A secret that two machines use: rotated on both, or on neither.

The tests of this file follow each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.monitored import Monitored, monitored
from machine.server import FOLDER

pytestmark = [pytest.mark.machine, pytest.mark.security]

NAME: Final = "shared-password"
MODULE: Final[dict[str, Any]] = {
    "name": "keeper",
    "title": "A program that reads a password",
    "description": "Metrics through the node exporter.",
    "options": {"password": {"type": "secret", "description": "Its password."}},
    "files": [
        {
            "path": "keeper.cnf",
            "format": "ini",
            "secret": True,
            "content": {"client": {"password": "${password}"}},
        }
    ],
    "service": {
        "name": "keeper",
        "command": ["/bin/sh", "-c", "while cat '${etc}/keeper.cnf' >/dev/null; do sleep 5; done"],
    },
    "exporter": {"through": "node", "key_metric": "node_uname_info"},
}
CONFIGURATION: Final[dict[str, Any]] = {
    "modules": {"folder": "/srv/modules"},
    "front_door": {"users": [{"name": "admin", "password": f"secret:{NAME}", "role": "admin"}]},
}
RED: Final = {
    "prometheus": {"targets": [{"job": "shop", "addresses": ["127.0.0.1:9999"]}]},
    "gates": {"deadline": "10s"},
}


@pytest.fixture(scope="module")
def fleet(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> Iterator[Monitored]:
    """A server and one host, both deployed, whose front door and whose module have the same password."""
    made = monitored(machines, program_images, minimal_images, {"web-1": "trixie"})
    machine = made.server.machine
    made.server.succeed("module", "new", "keeper", "--folder", "/srv/modules")
    machine.write("/srv/modules/keeper/module.yaml", json.dumps(MODULE))
    machine.write("/srv/modules/keeper/alerts.yaml", "alerts: []\n")
    machine.write("/srv/modules/keeper/alerts.test.yaml", "tests: []\n")
    machine.succeed("rm -r /srv/modules/keeper/runbooks")
    made.describe("web-1", modules={"keeper": {"options": {"password": f"secret:{NAME}"}}})
    made.configure(**CONFIGURATION)
    machine.succeed(f"install -d -m 700 {FOLDER}/config/secrets")
    machine.write(f"{FOLDER}/config/secrets/{NAME}", "correct battery horse\n", 0o600)
    made.apply()
    yield made


def passwords(fleet: Monitored) -> set[str]:
    """Return the passwords that are kept, and that the host has."""
    host = fleet.hosts["web-1"].succeed("cat /etc/observability-exporters/keeper/keeper.cnf").stdout
    kept = fleet.server.machine.succeed(["cat", f"{FOLDER}/config/secrets/{NAME}"]).stdout.strip()
    return {kept, host.partition("password")[2].strip(' ="\n')}


def rotate(fleet: Monitored, new: str) -> Any:
    """Give a new value and return the document."""
    argv = ["./observability", "secrets", "rotate", NAME, "--set", "--json", "--quiet"]
    return fleet.server.machine.run(argv, directory=FOLDER, stdin=f"{new}\n".encode(), timeout_s=180).json()


def test_both_machines_have_the_new_value(fleet: Monitored) -> None:
    document = rotate(fleet, "another battery staple")
    assert {node["node"]: node["outcome"] for node in document["nodes"]} == {"web-1": "committed", "mon-1": "committed"}
    assert document["rotated"] == [NAME]
    assert passwords(fleet) == {"another battery staple"}
    assert fleet.server.front_door("/", "admin:another battery staple")[0] == 200


def test_a_host_that_took_it_is_brought_back_when_the_server_does_not(fleet: Monitored) -> None:
    fleet.configure(**CONFIGURATION, **RED)
    document = rotate(fleet, "one more long value")
    assert document["nodes"][-1]["outcome"] == "rolled-back"
    assert (document["rotated"], document["brought_back"]) == ([], ["web-1"])
    fleet.configure(**CONFIGURATION)
    assert passwords(fleet) == {"another battery staple"}
    assert fleet.server.front_door("/", "admin:another battery staple")[0] == 200
    # The host was brought back with the gates of the change that failed, so that its next apply has those to take back.
    assert fleet.apply()["mon-1"]["outcome"] == "unchanged"
