"""One server and three hosts over real SSH: the order of a run, what stops it, and how it is gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.monitored import Monitored, monitored

pytestmark = pytest.mark.machine

HOSTS = {"web-1": "bookworm", "web-2": "trixie", "db-1": "trixie"}
ALL = (*sorted(HOSTS), "mon-1")


@pytest.fixture(scope="module")
def fleet(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> Iterator[Monitored]:
    """All machines booted, and the secrets drawn; the tests of this module follow each other."""
    made = monitored(machines, program_images, minimal_images, HOSTS)
    made.server.succeed("preflight", "--observability-vps", "--fix")
    yield made


def test_from_nothing_everything_is_brought_up_the_hosts_first(fleet: Monitored) -> None:
    plan = fleet.document("plan")
    assert {node["node"]: node["outcome"] for node in plan["nodes"]} == dict.fromkeys(ALL, "changes")
    nodes = fleet.apply()
    assert {name: node["outcome"] for name, node in nodes.items()} == dict.fromkeys(ALL, "committed")
    series = fleet.server.query('node_uname_info{role="monitored-host"}')
    assert {item["metric"]["host"] for item in series} == set(HOSTS)
