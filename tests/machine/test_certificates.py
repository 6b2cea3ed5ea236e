"""The certificates of a server and its hosts, from the first to one that has expired, over real SSH."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from machine.library.image import Image
from machine.library.session import Machines
from machine.monitored import Monitored, monitored
from machine.server import FOLDER

pytestmark = pytest.mark.machine

HOSTS = {"web-1": "bookworm", "web-2": "trixie"}
NAMES = ("front-door", "scrape-client", "host-web-1", "gate-web-1", "host-web-2", "gate-web-2")
TIMER = "observability-renew"


@pytest.fixture(scope="module")
def fleet(
    machines: Machines, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> Iterator[Monitored]:
    """A server and two hosts, all deployed; the tests of this module follow each other."""
    made = monitored(machines, program_images, minimal_images, HOSTS)
    made.server.succeed("preflight", "--observability-vps", "--fix")
    made.apply()
    made.wait_for_journals()
    yield made


def status(fleet: Monitored, code: int = 0) -> dict[str, dict[str, Any]]:
    """Return what is said of each certificate, by name."""
    document = fleet.document("cert", "status", code=code)
    return {certificate["name"]: certificate for certificate in document["certificates"]}


def looked_at(fleet: Monitored) -> dict[str, dict[str, Any]]:
    """Return the same, whatever the exit code."""
    document = fleet.run("cert", "status", "--json").json()
    return {certificate["name"]: certificate for certificate in document["certificates"]}


def renew(fleet: Monitored, *words: str, code: int = 0) -> dict[str, str]:
    """Renew and return the outcome of each node that was applied."""
    return {node["node"]: node["outcome"] for node in fleet.document("cert", "renew", *words, code=code)["nodes"]}


def served(fleet: Monitored, host: str) -> str:
    """Return the certificate that a host's exporter shows to the server."""
    program = f"import ssl; print(ssl.get_server_certificate(('{host}', 9100), timeout=5))"
    return fleet.server.machine.succeed(["python3", "-c", program]).stdout


def processes(fleet: Monitored) -> dict[str, dict[str, str]]:
    """Return the processes of all nodes."""
    return {name: fleet.pids(name) for name in ("mon-1", *HOSTS)}


def scraped(fleet: Monitored) -> set[str]:
    """Return the hosts whose exporter was scraped well the last time."""
    return {series["metric"]["host"] for series in fleet.server.query('up{role="monitored-host"} == 1')}


@pytest.mark.security
def test_every_target_off_loopback_is_scraped_by_tls(fleet: Monitored) -> None:
    targets = fleet.server.prometheus("targets")["activeTargets"]
    addresses = [target["scrapeUrl"] for target in targets]
    remote = [address for address in addresses if "//127.0.0.1:" not in address]
    assert len(remote) >= len(HOSTS)
    assert all(address.startswith("https://") for address in remote)
    assert fleet.server.machine.run("curl -sk --max-time 3 https://web-1:9100/metrics").code != 0
    assert fleet.server.machine.run("curl -s --max-time 3 http://web-1:9100/metrics | grep node_ >/dev/null").code != 0


def test_all_certificates_are_shown_and_the_timer_finds_nothing_to_do(fleet: Monitored) -> None:
    shown = status(fleet)
    assert set(shown) == {*NAMES, "authority", "scrape-authority"}
    assert {shown[name]["standing"] for name in shown} == {"valid"}
    assert {name: shown[name]["issuer"] for name in NAMES[:4]} == {
        "front-door": "site",
        "scrape-client": "scrape",
        "host-web-1": "site",
        "gate-web-1": "itself",
    }
    machine = fleet.server.machine
    assert machine.unit_property(f"{TIMER}.timer", "ActiveState") == "active"
    assert machine.succeed(f"readlink /etc/systemd/system/multi-user.target.wants/{TIMER}.timer").stdout.strip()
    before = {name: fleet.current(name) for name in ("mon-1", *HOSTS)}
    machine.succeed(["systemctl", "start", f"{TIMER}.service"])
    assert "no certificate is due" in machine.succeed(f"journalctl --output=cat --unit={TIMER}").stdout
    assert {name: fleet.current(name) for name in ("mon-1", *HOSTS)} == before


def test_all_are_renewed_without_a_restart(fleet: Monitored) -> None:
    before, running, shown = status(fleet), processes(fleet), {host: served(fleet, host) for host in HOSTS}
    assert renew(fleet, "--all") == dict.fromkeys(("web-1", "web-2", "mon-1"), "committed")
    after = status(fleet)
    assert all(after[name]["not_before"] > before[name]["not_before"] for name in NAMES)
    assert after["authority"] == before["authority"]
    assert processes(fleet) == running
    assert all(served(fleet, host) != shown[host] for host in HOSTS)
    assert fleet.document("health")["summary"] == {"healthy": 3}


def test_one_is_renewed_on_its_own_node_and_no_other_is_touched(fleet: Monitored) -> None:
    before = {name: (fleet.current(name), fleet.traces(name)) for name in ("mon-1", "web-2")}
    remembered = fleet.server.machine.succeed(f"cat {FOLDER}/config/.fleet/last-run.jsonl").stdout
    assert renew(fleet, "host-web-1") == {"web-1": "committed"}
    assert fleet.server.machine.succeed(f"cat {FOLDER}/config/.fleet/last-run.jsonl").stdout == remembered
    assert {name: (fleet.current(name), fleet.traces(name)) for name in before} == before
    assert scraped(fleet) == set(HOSTS)


def test_a_host_that_was_away_is_tried_again_by_the_next_run(fleet: Monitored) -> None:
    fleet.hosts["web-2"].network_cut()
    assert renew(fleet, "host-web-1", "host-web-2", code=6) == {"web-1": "committed", "web-2": "unreachable"}
    fleet.hosts["web-2"].network_restore()
    assert {name for name, shown in status(fleet).items() if shown["waiting"]} == {"host-web-2", "gate-web-2"}
    # The timer's unit does it from behind its fences: it reads the keys, goes by SSH, and applies.
    fleet.server.machine.succeed(["systemctl", "start", f"{TIMER}.service"], timeout_s=60)
    assert not any(shown["waiting"] for shown in status(fleet).values())
    assert renew(fleet, "--if-due") == {}


def test_an_authority_is_replaced_and_what_the_old_one_signed_opens_nothing(fleet: Monitored) -> None:
    keep = (
        "install -D -m 600 /etc/prometheus/tls/{certificate,key}.pem -t /srv/old; grep -q CERT /srv/old/certificate.pem"
    )
    fleet.server.machine.succeed(keep)
    assert renew(fleet, "scrape-authority") == dict.fromkeys(("web-1", "web-2", "mon-1"), "committed")
    fleet.server.machine.wait_until_succeeds(query("count(up{role='monitored-host'} == 1) == 2"), timeout_s=20)
    show = "--cert {0}/certificate.pem --key {0}/key.pem"
    curl = f"curl -sk --max-time 3 {show} https://web-1:9100/metrics | grep node_ >/dev/null"
    fleet.server.machine.succeed(curl.format("/etc/prometheus/tls"))
    fleet.server.machine.fail(curl.format("/srv/old"))


def test_what_has_expired_is_made_anew_by_apply(fleet: Monitored) -> None:
    fleet.configure(certificates={"lifetime": "1m", "automatic": False})
    fleet.apply()
    assert fleet.server.machine.unit_property(f"{TIMER}.timer", "ActiveState") == "inactive"
    deadline = time.monotonic() + 90
    while {shown["standing"] for name, shown in looked_at(fleet).items() if name in NAMES} != {"expired"}:
        assert time.monotonic() < deadline
        time.sleep(2)
    status(fleet, code=1)
    assert fleet.document("health", code=1)["summary"]["unhealthy"]
    fleet.configure(certificates={"lifetime": "30d"})
    running = processes(fleet)
    assert {node["outcome"] for node in fleet.apply().values()} == {"committed"}
    assert processes(fleet) == running
    assert {status(fleet)[name]["standing"] for name in NAMES} == {"valid"}
    assert fleet.document("health")["summary"] == {"healthy": 3}
    assert {node["outcome"] for node in fleet.apply().values()} == {"unchanged"}


def test_the_timer_outlives_the_last_host_and_goes_when_a_person_renews(fleet: Monitored) -> None:
    for host in HOSTS:
        fleet.forget(host)
    assert fleet.document("apply", "--yes")["outcome"] == "committed"
    # The front door has a certificate of the site's own too.
    assert fleet.server.machine.unit_property(f"{TIMER}.timer", "ActiveState") == "active"
    fleet.configure(certificates={"automatic": False})
    assert fleet.document("apply", "--yes")["outcome"] == "committed"
    assert fleet.server.machine.unit_property(f"{TIMER}.timer", "LoadState") == "not-found"
    left = fleet.server.machine.succeed(f"find /etc/systemd/system -name '{TIMER}*'").stdout
    assert left == ""


def query(expression: str) -> str:
    """Return the shell command that succeeds when an instant query of Prometheus has an answer."""
    document = json.dumps(expression)
    ask = f"curl -sSG http://127.0.0.1:9090/api/v1/query --data-urlencode query={document}"
    return f"{ask} | grep -q '\"value\"'"
