"""The front door as those outside meet it: who may do what, how often, and what an answer tells.

One machine with the real nginx, Prometheus and Alertmanager. The clients run on it with addresses of their own, since
nothing that comes from loopback is limited.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from machine.door import CLIENT6, CLIENTS, DOMAIN, DOOR, MACHINES, PEOPLE, PLACES, PROXY, Door
from machine.library.image import Image
from machine.library.session import Machines
from machine.server import FOLDER, Server
from machine.witness import Witness
from obstack.render.door_table import ROUTES, Route, machine_principal, permissions
from obstack.render.nginx_headers import PERMISSIONS
from obstack.render.nginx_limits import LOGINS, WRITES

pytestmark = [pytest.mark.machine, pytest.mark.security]


@pytest.fixture(scope="module")
def door(machines: Machines, program_images: Mapping[str, Image]) -> Iterator[Door]:
    server = Server(machines.create(program_images["trixie"], "mon-1"))
    server.configure(front_door=DOOR)
    server.set_up()
    yield Door(server)
    server.machine.destroy()


def place(route: Route) -> str:
    """A path of the route."""
    return PLACES.get(route.name, route.name)


def refused(answer: Mapping[str, Any]) -> bool:
    """Whether nginx itself has refused: Prometheus says 403 too, for what is off in it."""
    return answer["status"] == 403 and "<center>nginx</center>" in answer["text"]


@pytest.mark.parametrize("name", [*PEOPLE, *MACHINES])
def test_everybody_may_do_what_the_table_says_and_nothing_else(door: Door, name: str) -> None:
    principal = PEOPLE[name].value if name in PEOPLE else machine_principal(MACHINES[name])
    granted = {
        (item.method, item.route.name) for item in permissions(tuple(MACHINES.values())) if item.principal == principal
    }
    usual = ("GET", "POST", "DELETE")
    wanted = [
        (method, route.name)
        for route in ROUTES
        for method in (*usual, *(["PUT"] if any("PUT" in grant.methods for grant in route.grants) else []))
    ]
    client = CLIENTS[[*PEOPLE, *MACHINES].index(name)]
    requests = [
        {"method": method, "path": PLACES.get(route, route), "login": door.login(name)} for method, route in wanted
    ]
    answers = door.ask(client, requests)
    found = {pair for pair, answer in zip(wanted, answers, strict=True) if not refused(answer)}
    assert found == granted & set(wanted)
    assert {answer["status"] for answer in answers} & {401, 429} == set()


def test_nobody_may_do_anything(door: Door) -> None:
    unknown = ("/made-up", "/prometheus", "/prometheus/made-up", "/alertmanager/api/v2", "/.well-known/security.txt")
    paths = [*(place(route) for route in ROUTES), *unknown]
    for client, login in zip(CLIENTS[6:10], (None, "vera:wrong", "push-alerts:wrong", "nobody:wrong"), strict=True):
        requests = [{"path": path, **({"login": login} if login else {})} for path in paths]
        requests += [{"method": "POST", **request} for request in requests[:3]]
        answers = door.ask(client, requests)
        assert {answer["status"] for answer in answers} == {401}, login
        assert not any("set-cookie" in answer["headers"] for answer in answers)


def test_an_unknown_path_is_unknown_to_those_who_may_enter(door: Door) -> None:
    login = door.login("vera")
    requests = [{"path": path, "login": login} for path in ("/made-up", "/prometheus", "/prometheus/api/v1")]
    missing, bare, below = door.ask(CLIENTS[10], requests)
    assert missing["status"] == 404
    assert (bare["status"], bare["headers"]["location"]) == (301, "/prometheus/")
    assert (below["status"], below["headers"]["location"]) == (301, "/prometheus/api/v1/")
    # However a path is spelled, it is judged as what Prometheus is then asked for.
    spellings = ("/prometheus/x/..//api/v1/admin/tsdb/snapshot", "/prometheus/%61pi/v1/admin%2Ftsdb/snapshot")
    requests = [{"method": "POST", "path": path, "login": login} for path in spellings]
    assert all(refused(answer) for answer in door.ask(CLIENTS[10], requests))


def varint(number: int) -> bytes:
    """A number as protocol buffers write it."""
    head = b""
    while number > 127:
        head, number = head + bytes([number & 127 | 128]), number >> 7
    return head + bytes([number])


def field(number: int, content: bytes) -> bytes:
    """A field of bytes as protocol buffers write it."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def sample_of_remote_write(name: str, milliseconds: int) -> bytes:
    """One sample with the value 0, as remote write sends it: protocol buffers within uncompressed Snappy."""
    label = field(1, b"__name__") + field(2, name.encode())
    request = field(1, field(1, label) + field(2, varint(2 << 3) + varint(milliseconds)))
    assert len(request) <= 60
    return varint(len(request)) + bytes([len(request) - 1 << 2]) + request


def test_a_machine_pushes_metrics_and_alerts_and_another_one_reads_them(door: Door) -> None:
    now = int(door.machine.succeed(["date", "+%s"]).stdout)
    metric = {
        "method": "POST",
        "path": "/prometheus/api/v1/write",
        "login": door.login("write-metrics"),
        "headers": {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"},
        "body": base64.b64encode(sample_of_remote_write("pushed", now * 1000)).decode(),
    }
    alert = {
        "method": "POST",
        "path": "/alertmanager/api/v2/alerts",
        "login": door.login("push-alerts"),
        "headers": {"Content-Type": "application/json"},
        "body": base64.b64encode(json.dumps([{"labels": {"alertname": "Pushed"}}]).encode()).decode(),
    }
    assert door.statuses(CLIENTS[10], [metric, alert]) == [204, 200]
    query = {"path": "/prometheus/api/v1/query?query=pushed", "login": door.login("read-metrics")}
    (answer,) = door.ask(CLIENTS[10], [query])
    assert json.loads(answer["text"])["data"]["result"][0]["value"][1] == "0"
    assert "Pushed" in door.server.alerts()
    assert not any("set-cookie" in each["headers"] for each in door.ask(CLIENTS[10], [alert, query]))


def test_an_editor_silences_and_another_site_cannot_make_a_browser_do_it(door: Door) -> None:
    silence = {
        "matchers": [{"name": "alertname", "value": "Pushed", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "edgar",
        "comment": "known",
    }
    make = {
        "method": "POST",
        "path": "/alertmanager/api/v2/silences",
        "login": door.login("edgar"),
        "headers": {"Content-Type": "application/json"},
        "body": base64.b64encode(json.dumps(silence).encode()).decode(),
    }
    foreign = make | {"headers": {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}}
    own = make | {"headers": {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}}
    no, yes = door.ask(CLIENTS[11], [foreign, own])
    assert refused(no)
    assert yes["status"] == 200
    expire = f"/alertmanager/api/v2/silence/{json.loads(yes['text'])['silenceID']}"
    ends = [{"method": "DELETE", "path": expire, "login": door.login(name)} for name in ("vera", "edgar")]
    assert door.statuses(CLIENTS[11], ends) == [403, 200]


def test_every_answer_tells_browsers_what_it_may_be_used_for(door: Door) -> None:
    login = door.login("ada")
    paths = ("/", "/prometheus/consoles/fleet.html", "/prometheus/api/v1/labels", "/alertmanager/", "/missing")
    requests = [{"path": "/prometheus/api/v1/labels"}, *({"path": path, "login": login} for path in paths)]
    answers = door.ask(CLIENTS[11], [request | {"headers": {"Origin": "https://example.net"}} for request in requests])
    for answer in answers:
        headers = answer["headers"]
        assert headers["strict-transport-security"] == "max-age=63072000"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["permissions-policy"] == PERMISSIONS
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["server"] == "nginx"
        assert "access-control-allow-origin" not in headers
    policies = [answer["headers"]["content-security-policy"] for answer in answers]
    data, page, consoles, api, alertmanager, missing = policies
    assert data == api
    assert "default-src 'none'" in data
    assert page == missing
    assert "script-src" not in page
    assert re.sub("[0-9a-f]{32}", "", consoles) == re.sub("[0-9a-f]{32}", "", alertmanager)
    assert "'unsafe-inline'" not in consoles.partition("script-src")[2].partition(";")[0]
    assert [answer["headers"]["x-frame-options"] for answer in answers].count("SAMEORIGIN") == 2


@pytest.fixture
def stand_in(door: Door) -> Iterator[None]:
    machine = door.machine
    machine.succeed(["systemctl", "stop", "prometheus"])
    machine.succeed(["systemd-run", "--unit=stand-in", "python3", "/srv/door/door_stand_in.py"])
    machine.wait_until_succeeds("curl -sS http://127.0.0.1:9090/", timeout_s=10)
    yield
    machine.succeed(
        "systemctl stop stand-in; systemctl start prometheus || ! journalctl -n 30 --no-pager -u prometheus"
    )
    machine.wait_until_succeeds("curl -sS --fail http://127.0.0.1:9090/-/ready", timeout_s=30)


@pytest.mark.usefixtures("stand_in")
def test_pages_get_their_scripts_through_and_programs_learn_no_password(door: Door) -> None:
    request = {"path": "/prometheus/graph", "login": door.login("vera"), "headers": {"Accept-Encoding": "gzip"}}
    plain = request | {"path": "/prometheus/graph", "headers": {}}
    again, answer = door.ask(CLIENTS[12], [plain, plain])
    policy = answer["headers"]["content-security-policy"]
    (word,) = re.findall("script-src 'self' 'nonce-([0-9a-f]{32})'", policy)
    assert answer["text"].count(f'<script nonce="{word}"') == answer["text"].count("<script") == 2
    assert word not in again["text"]
    for secret in ("Authorization", "Cookie", door.passwords["vera"]):
        assert secret not in answer["text"]
    assert "X-Forwarded-User: vera" in answer["text"]
    assert {"x-powered-by", "access-control-allow-origin"} & set(answer["headers"]) == set()
    (compressed,) = door.ask(CLIENTS[12], [request])
    assert compressed["headers"]["content-encoding"] == "gzip"


FRAME: Final = "\x81\x85abcdhello"
"""Of a client: text, five characters, their mask."""


@pytest.mark.usefixtures("stand_in")
def test_a_websocket_passes_and_nothing_else_that_a_connection_may_become(door: Door) -> None:
    def told(upgrade: str, login: str) -> list[str]:
        headers = {
            "Host": DOMAIN,
            "Connection": "Upgrade",
            "Upgrade": upgrade,
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version": "13",
            "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
        }
        lines = [f"{name}: {value}" for name, value in headers.items()]
        text = "\r\n".join(("GET /prometheus/socket HTTP/1.1", *lines, "", ""))
        answers: list[str] = door.script("door_wire.py", "socket", text=text, frame=FRAME)
        return answers

    head, frame = told("websocket", door.login("vera"))
    assert head.startswith("HTTP/1.1 101 ")
    assert frame == FRAME
    (head,) = told("websocket", "vera:wrong")
    assert head.startswith("HTTP/1.1 401 ")
    (other,) = told("h2c", door.login("vera"))
    assert other.startswith("HTTP/1.1 200 ")
    assert "Upgrade:" not in other


def test_no_answer_tells_a_version(door: Door) -> None:
    head = f"Host: {DOMAIN}\r\nConnection: close\r\n"
    known = base64.b64encode(door.login("ada").encode()).decode()
    inside = f"{head}Authorization: Basic {known}\r\n"
    texts = {
        401: (443, f"GET / HTTP/1.1\r\n{head}\r\n"),
        404: (443, f"GET /made-up HTTP/1.1\r\n{inside}\r\n"),
        403: (443, f"DELETE / HTTP/1.1\r\n{inside}\r\n"),
        405: (443, f"TRACE / HTTP/1.1\r\n{inside}\r\n"),
        413: (443, f"POST / HTTP/1.1\r\n{inside}Content-Length: 99999999\r\n\r\n"),
        414: (443, f"GET /{'x' * 10_000} HTTP/1.1\r\n{inside}\r\n"),
        400: (443, "GET / HTTP/1.1\r\n\r\n"),
        505: (443, "GET / HTTP/9.9\r\n\r\n"),
        502: (443, f"GET /alertmanager/ HTTP/1.1\r\n{inside}\r\n"),
        308: (80, f"GET / HTTP/1.1\r\n{head}\r\n"),
    }
    plain = (443, f"GET /plain HTTP/1.1\r\n{head}\r\n")  # without TLS where TLS is spoken: 400 as well
    broken = (80, "nonsense\r\n\r\n")
    door.machine.succeed(["systemctl", "stop", "alertmanager"])
    try:
        told = door.script("door_wire.py", "texts", texts=[*texts.values(), plain, broken])
    finally:
        door.machine.succeed(["systemctl", "start", "alertmanager"])
    for status, text in zip((*texts, 400, 400), told, strict=True):
        assert text.startswith(f"HTTP/1.1 {status} "), (status, text[:200])
        assert re.search(r"nginx/\d|Debian|OpenSSL", text) is None, text
        assert re.findall("(?i)^server: (.*)\r$", text, re.MULTILINE) == ["nginx"]


def test_only_modern_tls_is_spoken_and_http_2(door: Door) -> None:
    found = door.script("door_wire.py", "hellos")
    assert found.pop("TLSv1_3")[1] == "h2"
    cipher, protocol = found.pop("TLSv1_2")
    assert protocol == "h2"
    assert re.fullmatch("ECDHE-ECDSA-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)", cipher)
    assert found.pop("TLSv1") == found.pop("TLSv1_1") == ["TLSV1_ALERT_PROTOCOL_VERSION", None]
    assert {reason for reason, _ in found.values()} <= {
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_HANDSHAKE_FAILURE",
    }


def test_guessing_is_slowed_down_for_the_guesser_alone_and_the_gate_stays_green(door: Door) -> None:
    guesser, other = CLIENTS[13], CLIENTS[14]
    known = {"login": door.login("vera")}
    # The browser of somebody who has entered before, at the address of one who guesses.
    (first,) = door.ask(guesser, [known])
    assert first["status"] == 200
    cookie = {"headers": {"Cookie": first["headers"]["set-cookie"].partition(";")[0]}}
    guesses = [{"login": f"nobody:{number}"} for number in range(LOGINS.burst + 40)]
    answers = door.ask(guesser, [*guesses, known | cookie])
    statuses = [answer["status"] for answer in answers[:-1]]
    assert set(statuses) == {401, 429}
    assert statuses.count(429) >= 20
    assert next(answer for answer in answers if answer["status"] == 429)["headers"]["retry-after"] == "10"
    assert answers[-1]["status"] == 200
    # Without the cookie even the right password must wait: who guesses does not learn that it was right. With the
    # cookie another name is a guess as well. Each second lets one through, so others guess in between.
    for late in (known | {"cookies": False}, {"login": "ada:wrong"} | cookie):
        statuses = door.statuses(guesser, [*guesses[:5], late, *guesses[:5], late, *guesses[:5], late])
        assert 429 in (statuses[5], statuses[11], statuses[17])
    assert door.statuses(other, [known]) == [200]
    assert set(door.statuses("127.0.0.1", guesses, address="127.0.0.1")) == {401}
    assert door.server.document("health")["healthy"] is True


def test_a_network_of_ipv6_counts_as_one_client(door: Door) -> None:
    door.machine.succeed(["ip", "address", "add", "2001:db8:1:2:3:4:5:6/128", "dev", "lo", "nodad"])
    requests = [{"login": f"nobody:{number}"} for number in range(LOGINS.burst + 30)]
    assert 429 in door.statuses(CLIENT6, requests)
    assert door.statuses("2001:db8:1:2:3:4:5:6", [{"login": door.login("vera")}]) == [429]


def test_changes_and_what_is_sent_with_them_have_their_limits(door: Door) -> None:
    reload = {"method": "POST", "path": "/alertmanager/-/reload", "login": door.login("ada")}
    statuses = door.statuses(CLIENTS[15], [reload] * (WRITES.burst + 30))
    assert statuses[0] == 200
    assert 429 in statuses
    big = base64.b64encode(b"x" * 300_000).decode()
    pushed = {"method": "POST", "body": big, "headers": {"Content-Type": "application/json"}}
    silences = pushed | {"path": "/alertmanager/api/v2/silences", "login": door.login("edgar")}
    alerts = pushed | {"path": "/alertmanager/api/v2/alerts", "login": door.login("push-alerts")}
    assert door.statuses(CLIENTS[16], [alerts]) == [400]
    assert door.statuses(CLIENTS[16], [silences]) == [413]


def test_the_passwords_are_for_nginx_and_nobody_else(door: Door) -> None:
    listing = "stat -L -c '%n %a %U:%G' /etc/nginx/htpasswd /etc/nginx/known.conf /etc/nginx/gate-credentials"
    assert door.machine.succeed(listing).stdout.splitlines() == [
        "/etc/nginx/htpasswd 640 root:nginx",
        "/etc/nginx/known.conf 640 root:nginx",
        "/etc/nginx/gate-credentials 600 root:root",
    ]
    hashes = dict(line.split(":") for line in door.machine.succeed(["cat", "/etc/nginx/htpasswd"]).stdout.split())
    assert all(hashes[name].startswith("$2b$10$") for name in PEOPLE)
    for user in ("nobody", "prometheus"):
        for file in ("htpasswd", "known.conf"):
            assert door.machine.run(["cat", f"/etc/nginx/{file}"], user=user).code != 0


def test_on_a_machine_without_ipv6_the_front_door_says_so_before_anything_is_changed(door: Door) -> None:
    none = ["systemd-run", "--wait", "--pipe", "--quiet", f"--working-directory={FOLDER}"]
    none += ["--property=RestrictAddressFamilies=AF_UNIX AF_INET AF_NETLINK", f"{FOLDER}/observability"]
    before = Witness.of(door.server)
    result = door.machine.run([*none, "preflight", "--observability-vps", "--json"], timeout_s=60)
    assert result.code == 1, result
    assert [found["code"] for found in result.json()["findings"] if found["severity"] == "block"] == ["no-ipv6"]
    door.server.configure(front_door={**DOOR, "http_port": 8080})
    result = door.machine.run([*none, "apply", "--yes"], timeout_s=120)
    assert result.code == 3, result
    assert "Address family not supported" in result.stderr
    assert Witness.of(door.server) == before
    door.server.configure(front_door={**DOOR, "ipv6": False})
    result = door.machine.run([*none, "apply", "--yes"], timeout_s=120)
    assert result.code == 0, result
    assert "[::]:443" not in door.machine.succeed(["ss", "-lnt"]).stdout


def test_without_tls_only_the_proxy_before_it_is_answered(door: Door) -> None:
    door.server.configure(front_door={**DOOR, "plain_http": True, "trusted_proxies": [PROXY]})
    door.server.apply()
    plain: dict[str, Any] = {"port": 80, "authority": None}
    login = door.login("vera")

    def through(client: str, **request: Any) -> dict[str, Any]:
        return {"headers": {"X-Forwarded-For": client}, **request}

    assert ":443" not in door.machine.succeed(["ss", "-lnt"]).stdout
    assert door.statuses(PROXY, [through("192.0.2.1", login=login), through("192.0.2.1")], **plain) == [200, 401]
    (stranger,) = door.ask(CLIENTS[17], [through("192.0.2.1", login=login)], **plain)
    assert stranger["status"] == 403
    assert "www-authenticate" not in stranger["headers"]
    guesses = [through("192.0.2.1", login=f"nobody:{number}") for number in range(LOGINS.burst + 20)]
    # What a client says itself about where it is stands before what the proxy says, and does not count.
    disguised = [through(f"10.0.0.{number}, 192.0.2.1", login="nobody:again") for number in range(5)]
    statuses = door.statuses(PROXY, [*guesses, *disguised, through("192.0.2.2", login=login)], **plain)
    assert statuses[-6:] == [429] * 5 + [200]
    assert door.server.document("health")["healthy"] is True
