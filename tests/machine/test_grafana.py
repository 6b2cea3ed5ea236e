"""Grafana beside the stack: deployed, watched, upgraded with its database, rolled back, and taken away again.

What runs is standin_grafana (tests/machine/standin/README.md says what it stands for); everything around it is real.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from machine.server import FOLDER, SETTINGS, Server
from machine.standin.archive import lock_grafana

pytestmark = pytest.mark.machine

ENGINE = {"dashboards": {"engine": "grafana"}}
PEOPLE = [
    {"name": "admin", "password": "secret:admin-password", "role": "admin"},
    {"name": "vera", "password": "secret:vera-password", "role": "viewer"},
]
SECRET = "violet-orbit-cactus-lantern-41"
DATABASE = "/var/lib/grafana/grafana.db"
UNIT = "grafana-server"


def pid(server: Server) -> str:
    """The process of Grafana."""
    return server.machine.succeed(["systemctl", "show", "--property=MainPID", "--value", UNIT]).stdout.strip()


def ask(server: Server, path: str, login: str | None = "", *more: str) -> tuple[int, str]:
    """Ask through the front door; return the status and the body."""
    body, _, status = server.machine.succeed(asking(server, path, login, *more)).stdout.rpartition("\n")
    return int(status), body


def asking(server: Server, path: str, login: str | None, *more: str) -> list[str]:
    """The command that asks through the front door, as the administrator where the login is empty."""
    domain = SETTINGS["domain"]
    argv = ["curl", "-sS", "-w", "\n%{http_code}", "--cacert", "/etc/nginx/authority.pem"]
    argv += ["--connect-to", f"{domain}::{server.machine.address}:"]
    argv += ["--user", login or f"admin:{server.password()}"] if login is not None else []
    return [*argv, *more, f"https://{domain}{path}"]


def stored(server: Server, statement: str) -> list[Any]:
    """What Grafana's database says."""
    program = f"import json,sqlite3; print(json.dumps(sqlite3.connect({DATABASE!r}).execute({statement!r}).fetchall()))"
    found: list[Any] = server.machine.succeed(["python3", "-c", program]).json()
    return found


def change_in_grafana(server: Server, uid: str, title: str) -> None:
    """Change a dashboard as an editor does in the interface."""
    board = json.loads(ask(server, f"/grafana/api/dashboards/uid/{uid}")[1])["dashboard"]
    body = json.dumps({"dashboard": {**board, "title": title}})
    status, _ = ask(server, "/grafana/api/dashboards/db", "", "-H", "Content-Type: application/json", "--data", body)
    assert status == 200


def wait_for_title(server: Server, uid: str, title: str) -> None:
    """Return when Grafana has read the dashboard's new file; it looks for it every ten seconds, its stand-in each."""
    deadline = time.monotonic() + 30
    while json.loads(ask(server, f"/grafana/api/dashboards/uid/{uid}")[1])["dashboard"]["title"] != title:
        assert time.monotonic() < deadline, f"{uid} never became {title}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def grafana(server: Server) -> Server:
    """A server that was set up without Grafana, and then got it."""
    server.machine.write(f"{FOLDER}/config/secrets/vera-password", f"{SECRET}\n", 0o600)
    server.configure(front_door={"users": PEOPLE}, **ENGINE)
    lock_grafana(server, "11.6.16")
    server.succeed("secrets", "init")
    document = server.apply()
    assert {unit["unit"]: unit["action"] for unit in document["units"]}[UNIT] == "start"
    return server


def test_it_serves_who_passed_the_front_door_by_their_role(grafana: Server) -> None:
    assert ask(grafana, "/grafana/api/user", None)[0] == 401
    assert json.loads(ask(grafana, "/grafana/api/user")[1]) == {"login": "admin", "orgRole": "Admin"}
    claims = ("-H", "X-WEBAUTH-USER: admin", "-H", "X-WEBAUTH-ROLE: Admin")
    vera = json.loads(ask(grafana, "/grafana/api/user", f"vera:{SECRET}", *claims)[1])
    assert vera == {"login": "vera", "orgRole": "Viewer"}
    assert ask(grafana, "/grafana/", f"vera:{SECRET}")[0] == 200


def test_nobody_else_on_the_machine_can_say_who_they_are(grafana: Server) -> None:
    socket = "/var/lib/grafana/grafana.sock"
    asked = ["curl", "-sS", "--unix-socket", socket, "-H", "X-WEBAUTH-USER: admin", "http://x/grafana/api/user"]
    assert grafana.machine.run(asked).code == 0
    stranger = grafana.machine.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *asked])
    assert stranger.code == 7
    listening = grafana.machine.succeed(["ss", "-Hltn"]).stdout
    assert ":3000" not in listening


def test_a_websocket_passes(grafana: Server) -> None:
    upgrade = ("--http1.1", "--max-time", "5", "-H", "Upgrade: websocket", "-H", "Connection: Upgrade")
    key = ("-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Sec-WebSocket-Version: 13", "-i")
    # curl itself speaks no WebSocket: it takes the answer's head and then finds nothing that it understands.
    text = grafana.machine.run(asking(grafana, "/grafana/api/live/ws", "", *upgrade, *key)).stdout
    assert "101 Switching Protocols" in text
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in text


def test_no_secret_is_seen_where_others_look(grafana: Server) -> None:
    names = ("grafana-admin-password", "grafana-secret-key")
    secrets = [grafana.machine.succeed(["cat", f"{FOLDER}/config/secrets/{name}"]).stdout.strip() for name in names]
    arguments = grafana.machine.succeed(f"tr '\\0' ' ' < /proc/{pid(grafana)}/cmdline").stdout
    settings = grafana.machine.succeed(["cat", "/etc/grafana/grafana.ini"]).stdout
    for secret in secrets:
        assert secret not in arguments + settings
    modes = grafana.machine.succeed("stat -Lc '%a %U:%G' /etc/grafana/secrets/*").stdout.split("\n")
    assert set(filter(None, modes)) == {"640 root:grafana"}


def test_a_second_apply_changes_nothing(grafana: Server) -> None:
    before = pid(grafana)
    assert grafana.apply()["outcome"] == "unchanged"
    assert pid(grafana) == before


def test_a_changed_dashboard_arrives_without_a_restart(grafana: Server) -> None:
    before = pid(grafana)
    own = {"uid": "shop", "title": "Shop", "panels": []}
    grafana.machine.write(f"{FOLDER}/config/dashboards/shop.json", json.dumps(own))
    grafana.apply()
    own["title"] = "The shop"
    grafana.machine.write(f"{FOLDER}/config/dashboards/shop.json", json.dumps(own))
    grafana.apply()
    wait_for_title(grafana, "shop", "The shop")
    assert pid(grafana) == before


def test_what_somebody_changed_in_it_is_seen_and_taken_over(grafana: Server) -> None:
    assert grafana.document("dashboard", "drift")[0]["changed"] is False
    change_in_grafana(grafana, "obs-fleet", "Fleet of ours")
    found = grafana.document("dashboard", "drift", code=1)
    assert {board["name"] for board in found if board["changed"]} == {"fleet"}
    assert grafana.document("dashboard", "pull") == ["config/dashboards/fleet.json"]
    assert grafana.apply()["outcome"] == "committed"
    wait_for_title(grafana, "obs-fleet", "Fleet of ours")
    grafana.document("dashboard", "drift")
    grafana.machine.write(f"{FOLDER}/config/dashboards/shop.json", '{"uid": "obs-fleet", "title": ""}')
    refused = grafana.exits(2, "apply", "--yes")
    assert "shop.json" in refused.stderr
    assert "uid" in refused.stderr
    grafana.machine.succeed(["rm", "-r", f"{FOLDER}/config/dashboards"])
    grafana.apply()


def test_an_upgrade_keeps_the_database_and_a_copy_from_before(grafana: Server) -> None:
    lock_grafana(grafana, "13.2.3")
    document = grafana.apply()
    assert [item["what"] for item in document["kept"]] == ["a copy of its data from before"]
    assert stored(grafana, "SELECT version FROM migration") == [["13.2.3"]]
    assert ["vera"] in stored(grafana, "SELECT login FROM user")
    plugins = grafana.machine.succeed("ls -d /var/lib/grafana/plugins-bundled-*").stdout.split()
    assert plugins == ["/var/lib/grafana/plugins-bundled-13.2.3"]


@pytest.mark.parametrize("fault", ["no-start", "no-dashboards"])
def test_a_version_that_does_not_work_goes_back_with_its_database(grafana: Server, fault: str) -> None:
    before = grafana.current()
    # The new interval changes every dashboard: what the database has of them already is not what is to be there.
    grafana.configure(front_door={"users": PEOPLE}, prometheus={"scrape_interval": "3s"}, **ENGINE)
    lock_grafana(grafana, "14.0.0", fault)
    grafana.apply(code=3)
    assert grafana.current() == before
    assert stored(grafana, "SELECT version FROM migration") == [["13.2.3"]]
    assert ["vera"] in stored(grafana, "SELECT login FROM user")
    assert ask(grafana, "/grafana/api/user")[0] == 200
    grafana.configure(front_door={"users": PEOPLE}, **ENGINE)
    lock_grafana(grafana, "13.2.3")
    assert grafana.apply()["outcome"] == "unchanged"


def test_it_goes_and_its_data_stay(grafana: Server) -> None:
    grafana.configure(front_door={"users": PEOPLE})
    grafana.apply()
    assert grafana.machine.run(["systemctl", "is-active", UNIT]).stdout.strip() == "inactive"
    assert ask(grafana, "/grafana/api/user")[0] == 404
    assert ["vera"] in stored(grafana, "SELECT login FROM user")
    assert grafana.exits(2, "dashboard", "drift").stderr.count("dashboards.engine") == 1
