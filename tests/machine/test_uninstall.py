"""What an uninstall leaves and takes: never what is not ours, and after a purge nothing that is."""

from __future__ import annotations

import time

import pytest

from machine.server import FOLDER, UNITS, Server

pytestmark = pytest.mark.machine

BEFORE = """
useradd --system --home-dir /srv/own --create-home nginx
groupadd --system blackbox-exporter
install -d -m 750 -o games /var/lib/alertmanager; echo own > /var/lib/alertmanager/notes
mkdir -p /etc/systemd/journald.conf.d; echo '[Journal]' > /etc/systemd/journald.conf.d/own.conf
printf '[Service]\\nExecStart=/bin/true\\n' > /etc/systemd/system/own.service
"""
"""A server on which somebody has what the stack uses as well: a user, a group, a data folder, a folder of drop-ins."""

FOREIGN = ("/var/lib/alertmanager/notes", "/etc/systemd/journald.conf.d/own.conf", "/etc/systemd/system/own.service")

NOT_LOOKED_AT = (FOLDER, "/var/log/journal", "/var/cache/observability", "/tmp")
LISTING = f"""
find / -xdev \\( -path {" -o -path ".join(NOT_LOOKED_AT)} \\) -prune -o -printf '%p %y %m %U:%G %l\\n' | sort
"""
"""Everything on the machine, but the checkout, its cache and the journal."""

OF_THE_SYSTEM = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/var/lib/systemd/timers d ")


@pytest.fixture(scope="module")
def before(bare_server: Server) -> list[str]:
    """A server where others have been before us, and what is on it before we come."""
    bare_server.succeed("preflight", "--observability-vps", "--fix")
    bare_server.machine.succeed(BEFORE)
    return listing(bare_server)


def listing(server: Server) -> list[str]:
    """All that is on the machine, by line, without the backups that useradd and userdel make.

    The folder in which systemd keeps when timers were due is its own, and is there from the first timer on.
    """
    lines = server.machine.succeed(LISTING).stdout.splitlines()
    return [line for line in lines if not line.startswith(OF_THE_SYSTEM)]


@pytest.fixture(scope="module")
def scraped_at(bare_server: Server, before: list[str]) -> float:
    """A time at which the stack ran that was then uninstalled again; somebody had put files of their own beside."""
    server = bare_server
    server.document("apply", "--yes")
    server.machine.succeed("echo mine > /var/lib/prometheus/mine; echo mine > /etc/systemd/system/nginx.conf.mine")
    moment = time.time()
    told = server.succeed("uninstall", "--yes").stdout
    assert "mon-1: uninstalled, data is kept" in told
    return moment


def test_an_uninstall_keeps_all_data_and_what_is_not_ours(bare_server: Server, scraped_at: float) -> None:
    machine = bare_server.machine
    kept = "cat /var/lib/prometheus/mine /etc/systemd/system/nginx.conf.mine; ls /var/lib/prometheus/wal"
    assert machine.succeed(kept).stdout.startswith("mine\nmine\n0")
    for path in FOREIGN:
        machine.succeed(["test", "-e", path])
    assert machine.succeed("find /etc -lname '*observability*'; systemctl list-jobs --no-legend").stdout == ""


def test_what_is_set_up_again_finds_its_old_data(bare_server: Server, scraped_at: float) -> None:
    server = bare_server
    server.document("apply", "--yes")
    assert server.query('up{job="prometheus"} == 1', at=scraped_at)
    assert server.machine.succeed("stat -c %U:%G /var/lib/prometheus").stdout == "prometheus:prometheus\n"


def test_a_purge_that_was_interrupted_leaves_in_the_end_what_was_there_before(
    bare_server: Server, before: list[str]
) -> None:
    server = bare_server
    server.machine.succeed("rm /etc/systemd/system/nginx.conf.mine")
    died = server.run("uninstall", "--purge", "--yes", environment={"OBSERVABILITY_CRASH_AT": "purge-user"})
    assert died.code == 6, str(died)
    told = server.succeed("uninstall", "--purge", "--yes").stdout
    assert "nothing is left" in told

    changed = set(listing(server)) ^ set(before)
    assert {line for line in changed if not line.startswith("/var/lib/alertmanager")} == set()
    assert server.machine.succeed("cat /var/lib/alertmanager/notes").stdout == "own\n"
    for unit in UNITS:
        assert server.machine.unit_property(unit, "LoadState") == "not-found"
    assert (
        server.machine.succeed("getent passwd nginx | cut -d: -f6; getent passwd prometheus || true").stdout
        == "/srv/own\n"
    )
