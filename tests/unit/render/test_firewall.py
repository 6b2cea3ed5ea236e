"""The firewall of a host, rendered."""

import json

import pytest

from obstack.render.firewall import render_firewall
from obstack.render.systemd import render_systemd
from obstack.render.tree import Rendering
from rendering.hosts import fleet_site, host_materials
from rendering.settled import SERVER

HOSTS = {"web-1": {"address": "192.0.2.10"}, "web-2": {"address": "192.0.2.11", "firewall": False}}


def render(host: str = "web-1", ports: tuple[int, ...] = (9113, 9100, 9100)) -> Rendering:
    return render_firewall(fleet_site(HOSTS), host, SERVER, host_materials().artifacts, ports)


def test_the_rules_name_the_server_and_the_ports_once() -> None:
    rules = json.loads(render().files[0].content)
    assert rules["ports"] == [9100, 9113]
    assert rules["addresses"] == [fleet_site(HOSTS).server.address]
    assert rules["nft"].startswith("artifacts/nftables/")


@pytest.mark.parametrize(("host", "ports"), [("web-2", (9100,)), ("web-1", ())])
def test_nothing_is_rendered_where_nothing_is_to_be_guarded(host: str, ports: tuple[int, ...]) -> None:
    assert render(host, ports) == Rendering()


def test_the_unit_undoes_what_it_did_and_comes_after_other_firewalls() -> None:
    text = render_systemd(render().services[0], SERVER).content.decode()
    assert "ExecStop=/usr/bin/python3 -I /var/lib/observability/agent/agent.pyz firewall down" in text
    assert "RemainAfterExit=yes" in text
    assert "After=network.target nftables.service ufw.service" in text
    assert "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE" in text
