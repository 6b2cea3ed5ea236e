"""The firewall of a host and of the server, rendered."""

import json
import re
from typing import Any

import pytest

from obstack.agent.openings import Opening
from obstack.render.firewall import render_firewall, render_server_firewall, server_openings
from obstack.render.systemd import render_systemd
from obstack.render.tree import Rendering
from rendering.hosts import fleet_site, host_materials
from rendering.settled import PRIVATE, SERVER, materials, small_site

pytestmark = pytest.mark.security

HOSTS = {
    "web-1": {"address": "192.0.2.10"},
    "web-2": {"address": "192.0.2.11", "firewall": False, "logs": False},
    "db-1": {"address": "db-1.example.org"},
}


def render(host: str = "web-1", ports: tuple[int, ...] = (9113, 9100, 9100)) -> Rendering:
    return render_firewall(fleet_site(HOSTS), host, SERVER, host_materials().artifacts, ports)


def opening(protocol: str, port: int, sources: list[str], purpose: str) -> dict[str, Any]:
    return {"protocol": protocol, "port": port, "sources": sources, "purpose": purpose}


def test_the_rules_of_a_host_name_the_server_and_the_ports_once() -> None:
    rules = json.loads(render().files[0].content)
    server = [fleet_site(HOSTS).server.address or ""]
    assert rules["openings"] == [opening("tcp", port, server, "exporter") for port in (9100, 9113)]
    assert rules["closed"] is False
    assert rules["nft"].startswith("artifacts/nftables/")


@pytest.mark.parametrize(("host", "ports"), [("web-2", (9100,)), ("web-1", ())])
def test_nothing_is_rendered_where_nothing_is_to_be_guarded(host: str, ports: tuple[int, ...]) -> None:
    assert render(host, ports) == Rendering()


def test_the_server_lets_in_the_door_the_hosts_that_ship_and_what_is_admitted() -> None:
    admit = [
        {"port": 8443, "from": ["192.0.2.0/25", "192.0.2.128/25", "2001:db8::1"], "comment": "the shop"},
        {"port": 514, "protocol": "udp"},
    ]
    server = {"name": "mon-1", "address": "192.0.2.1", "firewall": {"admit": admit}}
    site = fleet_site(HOSTS, server=server, logs={"receive_port": 19000})
    assert server_openings(site) == (
        Opening("tcp", 80, (), "front door"),
        Opening("tcp", 443, (), "front door"),
        Opening("tcp", 8443, ("192.0.2.0/24", "2001:db8::1"), "the shop"),
        Opening("tcp", 19000, ("192.0.2.10", "db-1.example.org"), "logs of the hosts"),
        Opening("udp", 514, (), "admitted"),
    )
    rules = json.loads(render_server_firewall(site, SERVER, host_materials().artifacts).files[0].content)
    assert rules["closed"] is True
    assert opening("tcp", 443, [], "front door") in rules["openings"]


def test_a_server_alone_takes_no_journals_and_shuts_what_is_its_own() -> None:
    assert [one.port for one in server_openings(small_site())] == [80, 443]


def test_a_door_without_tls_is_for_its_proxies_alone() -> None:
    door = {"plain_http": True, "trusted_proxies": ["192.0.2.7", "2001:db8:1::/64"], "http_port": 8080}
    (only,) = server_openings(fleet_site({}, front_door=door))
    assert (only.port, only.sources) == (8080, ("192.0.2.7", "2001:db8:1::/64"))
    assert server_openings(fleet_site({}, front_door={**door, "trusted_proxies": []})) == ()


def test_a_private_root_and_who_does_without_have_no_firewall() -> None:
    artifacts = materials().artifacts
    assert render_server_firewall(small_site(), SERVER, artifacts) != Rendering()
    assert render_server_firewall(small_site(), PRIVATE, artifacts) == Rendering()
    without = fleet_site(HOSTS, server={"address": "192.0.2.1", "firewall": {"enabled": False}})
    assert render_server_firewall(without, SERVER, artifacts) == Rendering()


def test_the_unit_undoes_what_it_did_changes_without_a_gap_and_comes_after_other_firewalls() -> None:
    text = render_systemd(render().services[0], SERVER).content.decode()
    program = "/usr/bin/python3 -I /var/lib/observability/agent/agent.pyz firewall"
    assert f"ExecStop={program} down" in text
    assert f"ExecReload={program} up /var/lib/observability/current/etc/observability-firewall/rules.json" in text
    assert "RemainAfterExit=yes" in text
    assert "After=network.target nftables.service ufw.service" in text
    assert "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE" in text
    assert "ReloadPropagatedFrom=ssh.service sshd.service ssh.socket" in text


def test_whoever_may_take_the_rules_away_or_move_ssh_has_them_put_right_after_its_start() -> None:
    rendering = render()
    keeper = rendering.services[1]
    text = render_systemd(keeper, SERVER).content.decode()
    assert "firewall keep /var/lib/observability/current/etc/observability-firewall/rules.json" in text
    assert "RemainAfterExit" not in text
    assert "[Install]" not in text
    after = re.findall(r"^After=(.*)$", text, re.MULTILINE)[0].split()
    wanting = {link.path.split("/")[4].removesuffix(".wants") for link in rendering.links}
    assert {"ssh.service", "ssh.socket", "nftables.service", "ufw.service"} <= wanting <= set(after)
    assert {link.target for link in rendering.links} == {f"units/{keeper.name}.service"}
