"""A full disk: the run ends in one clear line, nothing is changed, and with space again all is well.

The disk is a small file system in memory in the place of the state folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.server import Server, prometheus_of
from machine.witness import Witness

pytestmark = pytest.mark.machine

STATE = "/var/lib/observability"
OUTSIDE = "find /etc /usr/local /var/lib -not -path '/var/lib/observability/*' -not -path '/etc/.pwd.lock' | sort"
FILL = f"""
left=$(( $(df --output=avail -B1 {STATE} | tail -n 1) - LEFT ))
test $left -le 0 || fallocate -l $left {STATE}/filler
"""


@pytest.fixture(scope="module")
def small(machines: Machines, program_images: Mapping[str, Image]) -> Iterator[Server]:
    """A machine with nothing deployed, whose state folder has 40 MB."""
    server = Server(machines.create(program_images["trixie"], "mon-1"))
    server.machine.succeed(f"mkdir -p {STATE}; mount -t tmpfs -o size=40m,mode=755 tmpfs {STATE}")
    yield server
    server.machine.destroy()


def test_a_disk_too_small_for_the_first_setup_is_found_before_anything_is_written(small: Server) -> None:
    found = small.exits(1, "preflight", "--observability-vps", "--fix").stdout
    assert "40 MiB are free; 2.0 GiB are needed." in found
    before = small.machine.succeed(OUTSIDE).stdout
    users = small.machine.succeed(["cat", "/etc/passwd"]).stdout

    # Setup would not go on; apply, which asks for no preflight, has to find it out by itself.
    result = small.exits(3, "apply", "--yes")
    assert f"error[disk-full] The file system of {STATE}" in result.stderr
    assert "state: nothing was changed" in result.stderr
    assert "  do:  " in result.stderr

    assert small.current() == ""
    assert small.machine.succeed(OUTSIDE).stdout == before
    assert small.machine.succeed(["cat", "/etc/passwd"]).stdout == users
    small.machine.succeed(f"mount -o remount,size=3g {STATE}")
    assert small.set_up()["outcome"] == "committed"


@pytest.mark.parametrize("left", ["0", "64k", "40m"], ids=["no byte left", "64 kB left", "40 MB left"])
def test_a_full_disk_changes_nothing_and_space_again_is_all_that_is_needed(small: Server, left: str) -> None:
    before = Witness.of(small)
    # Another Prometheus is some 200 MB.
    small.use_lock("sid")
    small.configure(**prometheus_of("sid"))
    small.machine.succeed(FILL.replace("LEFT", f"$(numfmt --from=iec {left.upper()})"))

    result = small.exits(3, "apply", "--yes")
    assert "error[disk-full]" in result.stderr
    assert "state: nothing was changed" in result.stderr
    assert Witness.of(small) == before
    small.succeed("health")

    small.machine.succeed(["rm", f"{STATE}/filler"])
    small.use_lock("own")
    small.configure()
    assert small.apply()["outcome"] == "unchanged"
    assert small.pids() == before.pids


def test_once_there_is_space_the_change_that_failed_succeeds(small: Server) -> None:
    before = Witness.of(small)
    small.use_lock("sid")
    small.configure(**prometheus_of("sid"))

    assert small.apply()["outcome"] == "committed"
    assert before.moved(small) == {"prometheus"}
