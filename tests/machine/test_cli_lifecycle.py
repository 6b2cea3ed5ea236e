"""From a machine that is not ready to one that has nothing of ours left."""

from __future__ import annotations

import pytest

from machine.server import FOLDER, UNITS, Server

pytestmark = pytest.mark.machine

OCCUPY = """
mkdir -p /etc/prometheus /etc/systemd/system
printf '[Service]\\nExecStart=/usr/bin/python3 -m http.server 443\\n' > /etc/systemd/system/web-site.service
printf '[Service]\\nExecStart=/bin/true\\n' > /etc/systemd/system/alertmanager.service
systemctl daemon-reload; systemctl start web-site
"""
FREE = """
systemctl stop web-site; rm /etc/systemd/system/web-site.service /etc/systemd/system/alertmanager.service
systemctl daemon-reload; rmdir /etc/prometheus
"""


def listing(server: Server) -> str:
    """Everything in the places where the program puts things."""
    return server.machine.succeed("find /etc /var/lib /usr/local -not -path '/etc/.pwd.lock' | sort").stdout


def test_what_is_in_the_way_is_found_all_at_once_and_nothing_is_changed(bare_server: Server) -> None:
    server = bare_server
    server.machine.succeed(OCCUPY)
    server.machine.wait_until_succeeds("bash -c '</dev/tcp/127.0.0.1/443'")
    before = listing(server)
    document = server.document("preflight", "--observability-vps", code=1)
    found = {finding["code"]: finding for finding in document["findings"] if finding["severity"] == "block"}
    assert set(found) == {"configuration", "foreign-path", "foreign-unit", "port-busy"}
    assert "web-site.service" in found["port-busy"]["what"]
    assert found["foreign-path"]["do"] == "mv /etc/prometheus /etc/prometheus.before"
    refused = server.exits(1, "setup", "--observability", "--yes")
    assert "error[preflight-blocked]" in refused.stderr
    assert listing(server) == before
    server.machine.succeed(FREE)


def test_the_safe_findings_are_repaired(bare_server: Server) -> None:
    server = bare_server
    server.exits(1, "preflight", "--observability-vps")
    document = server.document("preflight", "--observability-vps", "--fix")
    assert document["ready"] is True
    assert document["repaired"] == ["drew a password into config/secrets/admin-password"]
    server.machine.succeed(f"chmod 644 {FOLDER}/config/secrets/admin-password")
    server.exits(1, "preflight", "--observability-vps")
    assert server.document("preflight", "--observability-vps", "--fix")["ready"] is True


def test_setup_asks_where_it_can_and_refuses_to_guess_where_not(bare_server: Server) -> None:
    refused = bare_server.exits(2, "setup", "--observability")
    assert "error[confirmation-needed]" in refused.stderr
    assert "Plan for mon-1: generation" in refused.stderr
    assert bare_server.exits(2, "setup").stderr.startswith("error[usage]")


def test_from_setup_to_nothing_left(bare_server: Server) -> None:
    server = bare_server
    before = listing(server)
    users = server.machine.succeed(["cat", "/etc/passwd"]).stdout
    server.machine.succeed(["./scripts/setup-observability.sh", "--yes"], directory=FOLDER, timeout_s=180)
    server.succeed("uninstall", "--yes")
    for unit in UNITS:
        assert server.machine.unit_property(unit, "LoadState") == "not-found"
    kept = server.machine.succeed("ls /var/lib/prometheus/wal; test ! -e /etc/prometheus")
    assert kept.stdout
    server.exits(1, "health")
    assert server.document("status")["generation"] is None

    server.succeed("setup", "--observability", "--yes")
    purged = server.succeed("uninstall", "--purge", "--yes")
    assert "nothing is left" in purged.stdout
    after = listing(server)
    strays = set(after.splitlines()) ^ set(before.splitlines())
    assert not {path for path in strays if not path.endswith("-")}, "beside backups of passwd and group, nothing"
    assert server.machine.succeed(["cat", "/etc/passwd"]).stdout == users
