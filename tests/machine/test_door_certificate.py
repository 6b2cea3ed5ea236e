"""The front door's certificate: from a real ACME authority by certbot, brought by a person, and by the site's own.

The tests of this module follow each other, as a server lives through it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from machine.acme import DIRECTORY, DOMAIN, OTHER_DIRECTORY, Door, authority_image, certbot_image
from machine.library.image import Image, ImageStore
from machine.library.session import Machines
from machine.server import FOLDER, Server
from rendering.issuing import NOW, Issued, issue

pytestmark = [pytest.mark.machine, pytest.mark.security]

HOOK = "/etc/letsencrypt/renewal-hooks/deploy/observability"
LIVE = "/etc/letsencrypt/live/observability"
TLS = f"{FOLDER}/config/tls"
PROVIDED = {"mode": "provided", "chain": "tls/chain.pem", "key": "tls/key.pem", "authority": "tls/own.pem"}

OWN = issue("Example Root", authority=True)
BETWEEN = issue("Example Between", OWN, authority=True)
LEAF = issue(DOMAIN, BETWEEN, names=(DOMAIN,))
OTHER = issue(DOMAIN, BETWEEN, names=(DOMAIN,))
EXPIRED = issue(DOMAIN, BETWEEN, names=(DOMAIN,), ends=NOW - 5 * 365 * 86400)
ELSEWHERE = issue("www.example.org", BETWEEN, names=("www.example.org",))


@pytest.fixture(scope="module")
def door(
    machines: Machines,
    images: ImageStore,
    program_images: Mapping[str, Image],
    minimal_images: Mapping[str, Image],
) -> Iterator[Door]:
    authority = machines.create(authority_image(images, minimal_images["trixie"]), "ca-1")
    server = machines.create(certbot_image(images, program_images["trixie"]), "mon-1")
    yield Door(Server(server), authority)


def fault(document: Any) -> str:
    """Return the code of a document's error."""
    return str(document["error"]["code"])


def bring(door: Door, leaf: Issued, *, key: Issued | None = None, chain: bytes = b"", mode: int = 0o600) -> None:
    """Put a person's certificate where the configuration names it."""
    door.machine.write(f"{TLS}/chain.pem", (chain or leaf.pem + BETWEEN.pem).decode())
    door.machine.write(f"{TLS}/key.pem", (key or leaf).key_pem.decode(), mode)
    door.machine.write(f"{TLS}/own.pem", OWN.pem.decode())


def test_setup_installs_certbot_and_starts_the_door_while_the_authority_is_down(door: Door) -> None:
    door.authority.succeed("systemctl stop caddy")
    door.server.run("preflight", "--observability-vps", "--fix")
    findings = door.server.document("preflight", "--observability-vps")["findings"]
    assert [found["do"] for found in findings if found["code"] == "certbot-missing"] == ["apt-get install certbot"]
    document = door.server.document("setup", "--observability", "--yes", code=6)
    assert (document["outcome"], fault(document)) == ("committed", "authority-unreachable")
    assert "observability internal authority" in door.shown()["issuer"]
    assert door.asked() == ""
    door.server.succeed("health")
    assert "not signed yet" in door.status(code=1)["renewal"]


def test_a_name_that_leads_elsewhere_is_refused_before_the_authority_is_asked(door: Door) -> None:
    door.start_authority()
    door.start_stranger()
    door.lead(door.machine, door.authority.address)
    assert fault(door.apply(3)) == "challenge-astray"
    assert door.asked() == ""
    door.lead(door.machine)


def test_a_refused_challenge_is_remembered_and_the_authority_left_alone(door: Door) -> None:
    door.lead(door.authority, "127.0.0.1")
    running = door.server.start("apply", "--yes", "--quiet", "--json")
    # certbot goes on asking for a minute and a half what has been refused at once; without an authority it stops.
    door.authority.wait_until_succeeds("journalctl --unit=caddy | grep -q rejectedIdentifier")
    door.authority.succeed("systemctl stop caddy")
    ended = running.wait(120)
    document = ended.json()
    assert (ended.code, document["outcome"]) == (3, "unchanged")
    assert fault(document) == "certificate-not-issued"
    door.start_authority()
    asked = door.asked()
    assert asked
    for _ in range(2):
        assert fault(door.apply(3)) == "certificate-pause"
    assert door.asked() == asked
    assert "attempts that failed: 1" in door.status(code=1)["renewal"]
    door.server.succeed("health")


def test_the_first_certificate_is_issued_and_switched_to_by_a_reload(door: Door) -> None:
    door.lead(door.authority)
    nginx = door.nginx()
    document = door.server.document("cert", "renew", "front-door")
    assert document["outcome"] == "committed"
    assert "Local Authority" in door.shown()["issuer"]
    assert door.nginx() == nginx
    assert (
        door.machine.succeed(
            f"curl -s -o /dev/null -w '%{{http_code}}' --cacert {TLS}/authority.pem https://{DOMAIN}/"
        ).stdout
        == "401"
    )
    state = door.status()
    assert (state["mode"], state["standing"], state["names"]) == ("acme", "valid", [DOMAIN])
    assert DIRECTORY in state["renewal"]


def test_applying_twice_asks_nobody(door: Door) -> None:
    asked, traces = door.asked(), door.server.traces()
    assert door.apply()["outcome"] == "unchanged"
    assert door.server.document("cert", "renew", "--if-due") == {"nodes": [], "exit_code": 0}
    assert (door.asked(), door.server.traces()) == (asked, traces)


def test_the_expiry_of_what_is_shown_is_a_metric_and_an_alert(door: Door) -> None:
    series = 'probe_ssl_earliest_cert_expiry{job="front-door"}'
    door.server.wait_for_series(f"{series} == {door.status()['not_after']:.0f}")
    # Caddy's certificates live for twelve hours: each step is below its limit.
    alert = 'ALERTS{alertname="FrontDoorCertificateExpires"}'
    door.server.wait_for_series(f"count({alert}) == 3")


def test_certbots_timer_renews_and_nobody_is_turned_away(door: Door) -> None:
    before, nginx = door.shown(), door.nginx()
    ask = f"curl -s -o /dev/null --max-time 2 --cacert {TLS}/authority.pem https://{DOMAIN}/ || echo $? >>/run/refused"
    door.machine.succeed(f"systemd-run --unit=asking sh -c 'while :; do {ask}; done'")
    door.machine.succeed("systemctl start certbot.service", timeout_s=120)
    door.machine.succeed("systemctl stop asking")
    after = door.shown()
    assert after["sha256 Fingerprint"] != before["sha256 Fingerprint"]
    assert "Local Authority" in after["issuer"]
    assert door.nginx() == nginx
    assert door.machine.run("cat /run/refused").stdout == ""
    assert door.status()["sound"]


def test_another_authority_is_asked_when_the_configuration_names_it(door: Door) -> None:
    nginx = door.nginx()
    for directory, issuer in ((OTHER_DIRECTORY, "Other Authority"), (DIRECTORY, "Local Authority")):
        door.acme(directory)
        assert door.apply()["outcome"] == "committed"
        assert issuer in door.shown()["issuer"]
        assert directory in door.status()["renewal"]
    assert door.nginx() == nginx


def test_a_broken_certificate_of_certbots_leaves_the_old_one_in_its_place(door: Door) -> None:
    before, current = door.shown(), door.server.current()
    key = door.machine.succeed(f"readlink -f {LIVE}/privkey.pem").stdout.strip()
    door.machine.succeed(f"cp -p {key} /root/kept.pem")
    door.machine.write(key, OTHER.key_pem.decode(), 0o600)
    for verb in (("apply", "--yes"), ("cert", "deploy")):
        assert fault(door.server.document(*verb, code=3)) == "certificate-refused"
    assert "does not belong" in door.status(code=1)["renewal"]
    assert (door.shown(), door.server.current()) == (before, current)
    door.server.succeed("health")
    door.machine.succeed(f"mv /root/kept.pem {key}")
    assert door.apply()["outcome"] == "unchanged"


def test_a_new_certificate_whose_gate_is_red_is_taken_back_and_tried_again_by_the_timer(door: Door) -> None:
    door.acme(gates={"deadline": "6s"})
    door.apply()
    before, current = door.shown(), door.server.current()
    # A master that sleeps takes no new certificate, and its workers go on with the old one.
    door.machine.succeed(f"kill -STOP {door.nginx()}")
    door.machine.run("systemctl start certbot.service", timeout_s=120)
    assert (door.shown(), door.server.current()) == (before, current)
    assert "newer one than is in force" in door.status(code=1)["renewal"]
    door.machine.succeed(f"kill -CONT {door.nginx()}")
    door.machine.succeed("systemctl start observability-renew.service", timeout_s=120)
    assert door.shown()["sha256 Fingerprint"] != before["sha256 Fingerprint"]
    assert door.status()["sound"]


def test_a_provided_certificate_takes_over_and_certbots_hook_goes(door: Door) -> None:
    bring(door, LEAF)
    door.configure(PROVIDED)
    nginx = door.nginx()
    assert door.apply()["outcome"] == "committed"
    assert "Example Between" in door.shown()["issuer"]
    assert door.nginx() == nginx
    door.machine.fail(f"test -L {HOOK}")
    door.machine.fail("test -e /etc/systemd/system/certbot.service.d/observability.conf")
    state = door.status()
    assert (state["mode"], state["sound"], state["left_at_certbot"]) == ("provided", True, True)
    door.server.succeed("health")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("another key", "does not belong to the certificate"),
        ("key that all can read", "can be read or changed by everybody"),
        ("no issuer between", "leads to Example Between"),
        ("expired", "expired on"),
        ("another name", f"is not for {DOMAIN}"),
        ("no file", "cannot be read"),
    ],
)
def test_a_provided_certificate_that_is_no_good_is_refused_before_anything(door: Door, case: str, message: str) -> None:
    before, current = door.shown(), door.server.current()
    if case == "another key":
        bring(door, LEAF, key=OTHER)
    elif case == "key that all can read":
        bring(door, OTHER, mode=0o644)
    elif case == "no issuer between":
        bring(door, OTHER, chain=OTHER.pem)
    elif case == "expired":
        bring(door, EXPIRED)
    elif case == "another name":
        bring(door, ELSEWHERE)
    else:
        door.machine.succeed(f"rm {TLS}/chain.pem")
    told = door.server.run("apply", "--yes", "--json")
    assert told.code == 2
    problems = door.server.document("config", "validate", code=2)["problems"]
    assert any(message in problem["message"] for problem in problems)
    assert all(problem["file"].endswith("global.yaml") and problem["line"] for problem in problems)
    assert (door.shown(), door.server.current()) == (before, current)


def test_every_mode_follows_every_other_without_a_restart(door: Door) -> None:
    bring(door, OTHER)
    nginx, asked = door.nginx(), door.asked()
    issuers = {"internal": "internal authority", "provided": "Example Between", "acme": "Local Authority"}
    for mode in ("internal", "provided", "acme", "internal", "acme", "provided", "internal"):
        if mode == "acme":
            door.acme()
        else:
            door.configure(PROVIDED if mode == "provided" else {})
        assert door.apply()["outcome"] == "committed"
        assert issuers[mode] in door.shown()["issuer"]
        assert door.machine.run(f"test -L {HOOK}").code == (0 if mode == "acme" else 1)
    assert door.nginx() == nginx
    # What certbot had got is still good: nobody was asked again.
    assert door.asked() == asked


def test_uninstall_leaves_no_hook(door: Door) -> None:
    door.acme()
    door.apply()
    door.machine.succeed(f"test -x {HOOK}")
    said = door.server.succeed("uninstall", "--yes").stdout
    assert "certbot delete --cert-name observability" in said
    door.machine.fail(f"test -L {HOOK}")
    door.machine.fail("test -e /etc/systemd/system/certbot.service.d")
