"""Central logs on machines: a Debian 13 takes the journals of a Debian 12 and a Debian 13; then things go wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.server import Server
from machine.shipping import Authority, Central
from obstack.render.materials import Certificate

pytestmark = pytest.mark.machine

UPLOAD = "/upload"


@pytest.fixture(scope="module")
def central(
    machines: Machines,
    program_images: Mapping[str, Image],
    minimal_images: Mapping[str, Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Central]:
    """A server with the program on it and two hosts, on none of which anything is deployed."""
    server = Server(machines.create(program_images["trixie"], "mon-1")).machine
    hosts = {name: machines.create(minimal_images[suite], name) for name, suite in HOSTS.items()}
    yield Central(server, "trixie", tmp_path_factory.mktemp("agent"), hosts)
    machines.destroy()


HOSTS = {"web-1": "bookworm", "db-1": "trixie"}


def read(central: Central, host: str, *arguments: str) -> list[str]:
    """Return the messages that the command shows of a host."""
    result = central.server.succeed(["/srv/observability/observability", "logs", "--host", host, *arguments, "--json"])
    return [line["message"] for line in result.json()["lines"]]


def until(wanted: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + timeout_s
    while not wanted():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def arrives(central: Central, host: str, text: str) -> None:
    """Write a line on the host, and wait until the server has it."""
    central.machines[host].succeed(["logger", "-t", "test", text])
    until(lambda: read(central, host, "--grep", f"^{text}$") == [text], f"{text!r} of {host} did not arrive")


def test_hosts_ship_before_there_is_a_server_and_the_server_tells_when_they_did(central: Central) -> None:
    for name in HOSTS:
        reply = central.apply_host(name)
        assert reply.outcome == "committed", reply.fault
        (gate,) = [gate for gate in reply.gates if gate.kind == "journal-shipped"]
        assert "cannot be reached" in gate.message
    central.machines["web-1"].succeed(["logger", "-t", "test", "early"])
    reply = central.apply_server("web-1")
    assert reply.outcome == "committed", reply.fault
    until(lambda: read(central, "web-1", "--grep", "^early$") == ["early"], "the line from before did not come")
    (gate,) = [gate for gate in central.ask("mon-1", "health").gates if gate.kind == "journal-received"]
    assert gate.passed
    assert gate.message.startswith("last lines: web-1 ")
    assert gate.message.endswith("s ago")
    assert "has taken a marked line" in "".join(gate.message for gate in central.ask("web-1", "health").gates)
    # The server does not know the other one yet, and that is no fault of the host's.
    (gate,) = [gate for gate in central.ask("db-1", "health").gates if gate.kind == "journal-shipped"]
    assert gate.passed
    assert "does not know this host yet" in gate.message


def test_a_further_host_disturbs_nobody(central: Central) -> None:
    units = ("journal-receive", "journal-receive-web-1", "journal-trim")
    before = [central.server.main_pid(unit) for unit in units]
    reply = central.apply_server("web-1", "db-1")
    assert reply.outcome == "committed", reply.fault
    actions = {action.unit: action.action for action in reply.actions if action.action != "none"}
    assert actions == {"journal-receive-db-1": "start", "journal-receive": "reload"}
    assert [central.server.main_pid(unit) for unit in units] == before
    arrives(central, "db-1", "of the second host")
    assert central.apply_server("web-1", "db-1").outcome in ("committed", "unchanged")


def test_what_the_command_shows_is_chosen_by_unit_time_and_pattern(central: Central) -> None:
    web = central.machines["web-1"]
    web.succeed("systemd-run --quiet --wait --unit=shop sh -c 'echo GET /a; echo GET /a; echo POST /b'")
    until(lambda: len(read(central, "web-1", "shop", "--grep", "^(GET|POST) ")) == 3, "the unit's lines did not come")
    assert read(central, "web-1", "shop", "--grep", "^GET") == ["GET /a", "GET /a"]
    assert read(central, "web-1", "shop", "--grep", "^(GET|POST)", "--lines", "1") == ["POST /b"]
    assert read(central, "web-1", "shop", "--until", "1h") == []
    assert read(central, "web-1", "no-such-unit") == []
    program = "/srv/observability/observability"
    refused = central.server.run([program, "logs", "--host", "web-2"])
    assert refused.code == 2
    assert "it has those of: db-1, web-1" in refused.stderr
    following = central.server.start([program, "logs", "--host", "web-1", "--follow", "--grep", "^live$"])
    until(lambda: bool(central.server.run(["pgrep", "-f", "journalctl.*--follow"]).code == 0), "nothing follows")
    web.succeed(["logger", "-t", "test", "live"])
    until(lambda: "live" in following.so_far().stdout, "the followed line did not come")
    following.kill()


def test_nothing_is_lost_and_nothing_shown_twice_after_the_server_was_away(central: Central) -> None:
    web, db = central.machines["web-1"], central.machines["db-1"]
    central.server.power_cut()
    # Lines of one moment, many of them equal: only their place in the journal tells them.
    for host in (web, db):
        host.succeed(
            "for i in $(seq 1000); do printf 'away\\naway\\naway\\naway %d\\naway }\\n' $i; done | systemd-cat -t test"
        )
    until(lambda: "does not take the journal" in web.run("journalctl -u journal-upload -o cat").stdout, "not noticed")
    web.power_cut()
    web.boot()
    central.server.boot()
    expected = [line for i in range(1, 1001) for line in ("away", "away", "away", f"away {i}", "away }")]
    for name in HOSTS:
        arrives(central, name, "the last of all")
        assert read(central, name, "--grep", "^away", "--lines", "9000") == expected


def test_lines_that_were_sent_twice_are_shown_once(central: Central) -> None:
    web = central.machines["web-1"]
    position = "/var/lib/journal-upload/position"
    kept = web.succeed(["cat", position]).stdout
    arrives(central, "web-1", "twice")
    web.succeed(["systemctl", "stop", "journal-upload"])
    web.write(position, kept, 0o600)
    web.succeed(f"chown journal-upload: {position}; systemctl start journal-upload")
    until(lambda: central.lines("web-1").count("twice") == 2, "it was not sent again")
    assert read(central, "web-1", "--grep", "^twice$") == ["twice"]
    # Killed without a word, it goes on as well.
    web.succeed(["systemctl", "kill", "--signal=KILL", "journal-upload"])
    arrives(central, "web-1", "after the kill")


def test_receivers_and_the_server_come_back(central: Central) -> None:
    server = central.server
    for unit in ("journal-receive-web-1", "journal-receive", "journal-trim"):
        server.succeed(["systemctl", "kill", "--signal=KILL", unit])
    arrives(central, "web-1", "after the receiver died")
    server.reboot()
    arrives(central, "web-1", "after the server started again")
    arrives(central, "db-1", "of the other as well")


def put(machine: Machine, name: str, certificate: Certificate) -> list[str]:
    """Put a certificate on a machine, and return the options by which curl shows it."""
    machine.write(f"/srv/{name}.crt", certificate.chain)
    machine.write(f"/srv/{name}.key", certificate.key.reveal(), 0o600)
    return ["--cert", f"/srv/{name}.crt", "--key", f"/srv/{name}.key"]


@pytest.mark.security
def test_a_host_writes_under_its_own_name_alone(central: Central) -> None:
    web = central.machines["web-1"]
    url = f"https://{central.server.address}:19531"
    curl = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/etc/journal-upload/authority.pem"]
    own = put(web, "own", central.authority.sign("web-1"))
    web.write(
        "/srv/entry",
        f"__REALTIME_TIMESTAMP={int(time.time() * 1e6)}\n__MONOTONIC_TIMESTAMP=5\n"
        f"_BOOT_ID={'a' * 32}\n_HOSTNAME=db-1\nMESSAGE=forged\n\n",
    )
    post = ["--data-binary", "@/srv/entry", "-H", "Content-Type: application/vnd.fdo.journal"]
    headers = ["Host: db-1", "X-Forwarded-For: 10.0.0.1", "X-SSL-Client-S-DN: CN=db-1", "Observability-Host: db-1"]
    given = [word for header in headers for word in ("-H", header)]

    def answer(path: str, *options: str) -> str:
        return web.run([*curl, *options, "--path-as-is", f"{url}{path}"]).stdout

    assert answer("/upload?receiver=db-1", *own, *post, *given) == "202"
    for path in ("/upload/db-1", "/upload/../db-1", "/../sockets/db-1", "/db-1", "/", "/browse", "/entries"):
        assert answer(path, *own, *post) in ("404", "400")
    assert answer(UPLOAD, *put(web, "unknown", central.authority.sign("web-9")), *post) == "403"
    for name in ("web-1.example.org", "CN=web-1", "web-1,CN=db-1", "db-1,O=x"):
        assert answer(UPLOAD, *put(web, "odd", central.authority.sign(name)), *post) == "403"
    foreign = Authority()
    assert answer(UPLOAD, *put(web, "foreign", foreign.sign("db-1")), *post) == "400"
    assert answer(UPLOAD, *post) == "400"
    assert web.run([*curl, *post, f"http://{central.server.address}:19531/upload"]).stdout == "400"
    until(lambda: "forged" in central.lines("web-1"), "the host's own entry is not in its own journal")
    assert "forged" not in central.lines("db-1")
    # Nor is there another way to a receiver: the sockets and the journals are closed to everybody else.
    for path in ("/var/lib/journal-receive/sockets/db-1", "/var/log/observability/db-1/remote.journal"):
        assert central.server.run(["runuser", "-u", "nobody", "--", "test", "-e", path]).code != 0


def test_a_renewed_certificate_needs_no_restart_and_loses_no_line(central: Central) -> None:
    web = central.machines["web-1"]
    before = web.main_pid("journal-upload"), central.server.main_pid("journal-receive")
    web.succeed("for i in $(seq 200); do echo renewal $i; done | systemd-cat -t test")
    assert central.apply_host("web-1", "web-1", "db-1").outcome == "committed"
    reply = central.apply_server("web-1", "db-1")
    assert {action.unit: action.action for action in reply.actions if action.action != "none"} == {
        "journal-receive": "reload"
    }
    arrives(central, "web-1", "after the renewal")
    assert read(central, "web-1", "--grep", "^renewal") == [f"renewal {i}" for i in range(101, 201)]
    assert (web.main_pid("journal-upload"), central.server.main_pid("journal-receive")) == before
    # The new one really is what is shown: with the old one taken back by another authority, nothing would come.
    central.authority = Authority()
    assert central.apply_server("web-1", "db-1").outcome == "committed"
    for name in HOSTS:
        reply = central.apply_host(name, "web-1", "db-1")
        assert reply.outcome == "committed", reply.fault
        arrives(central, name, "by another authority")
    assert web.main_pid("journal-upload") == before[0]


def test_a_host_whose_certificate_the_server_does_not_accept_is_told_so(central: Central) -> None:
    reply = central.apply_host(
        "web-1",
        "web-1",
        "db-1",
        certificate=Certificate(**{**vars(Authority("other").sign("web-1")), "authority": central.authority.pem}),
    )
    assert reply.outcome == "rolled-back"
    assert reply.fault is not None
    assert "does not accept this host's certificate" in reply.fault.what
    arrives(central, "web-1", "after the way back")


def test_old_journals_go_and_no_line_is_lost_by_it(central: Central, tmp_path: Path) -> None:
    server, web = central.server, central.machines["web-1"]
    central.settings = {"logs": {"retention_size": "40MB"}}
    assert central.apply_server("web-1", "db-1").outcome == "committed"
    arrives(central, "db-1", "of one that writes little")
    web.succeed("head -c 30000000 /dev/urandom | base64 --wrap=20000 | systemd-cat -t bulk", timeout_s=120)
    arrives(central, "web-1", "after the bulk")
    pid = server.main_pid("journal-receive-web-1")
    trim = "timeout 3 runuser -u journal-receive -- /usr/bin/python3 -I /var/lib/observability/agent/agent.pyz"
    for _ in range(2):
        server.run(f"{trim} journal-trim /etc/journal-receive/trim.json", timeout_s=20)
        arrives(central, "web-1", f"after trimming {time.monotonic()}")
    assert server.main_pid("journal-receive-web-1") != pid
    used = int(server.succeed("du -s --block-size=1 /var/log/observability | cut -f1").stdout)
    assert used < 60 * 1024 * 1024
    assert "of one that writes little" in read(central, "db-1", "--lines", "5000")


def test_a_host_that_stops_shipping_leaves_its_lines_until_they_are_old(central: Central) -> None:
    reply = central.apply_server("web-1")
    assert reply.outcome == "committed", reply.fault
    assert central.server.run(["systemctl", "is-active", "journal-receive-db-1"]).stdout.strip() == "inactive"
    assert central.server.succeed("ls /var/log/observability/db-1").stdout
    assert json.loads(central.server.succeed(["cat", "/etc/journal-receive/trim.json"]).stdout)["journals"].keys() == {
        "web-1"
    }
