from __future__ import annotations

import json

from obstack.agent.paths import validate
from obstack.model.host import Host
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.journal_receive import render_journal_receive, shipping_hosts
from obstack.render.journal_upload import render_journal_upload, upload_url
from obstack.render.node import render_node
from obstack.render.systemd import render_systemd
from obstack.render.tree import Rendering
from rendering.hosts import host_materials
from rendering.settled import KEY, PRIVATE, SERVER, materials


def site(*hosts: str, address: str = "192.0.2.1") -> Site:
    known = {name: {"address": "192.0.2.10"} for name in hosts}
    known["quiet-1"] = {"address": "192.0.2.11", "logs": False}  # type: ignore[dict-item] # one that ships nothing
    return Site.model_validate({"domain": "observability.example.org", "server": {"address": address}, "hosts": known})


def door(rendering: Rendering) -> str:
    (file,) = [file for file in rendering.files if file.path == "etc/journal-receive/nginx.conf"]
    return file.content.decode()


def test_without_a_host_that_ships_nothing_is_added() -> None:
    assert shipping_hosts(site("web-1")) == ("web-1",)
    assert render_journal_receive(site(), SERVER, materials()) == Rendering()
    assert render_journal_receive(site("web-1"), PRIVATE, materials()) == Rendering()
    assert render_journal_upload(site(), "quiet-1", SERVER, host_materials()) == Rendering()


def test_the_door_knows_each_host_by_the_whole_subject_of_its_certificate() -> None:
    text = door(render_journal_receive(site("web-1", "db-1"), SERVER, materials()))
    assert "CN=web-1 web-1;" in text
    assert "CN=db-1 0;" in text
    assert "default 1;" in text
    assert "ssl_verify_client on;" in text
    assert "proxy_pass_request_headers off;" in text
    assert "quiet-1" not in text


def test_it_listens_in_the_families_of_its_address() -> None:
    listeners = {
        "192.0.2.1": ["listen 19531 ssl;"],
        "2001:db8::1": ['listen "[::]:19531" ssl;'],
        "mon-1.example.org": ["listen 19531 ssl;", 'listen "[::]:19531" ssl;'],
    }
    for address, expected in listeners.items():
        text = door(render_journal_receive(site("web-1", address=address), SERVER, materials()))
        assert [line.strip() for line in text.splitlines() if "listen " in line] == expected
    assert upload_url(site(address="2001:db8::1")) == "https://[2001:db8::1]:19531/upload"


def test_a_further_host_changes_no_unit_of_another() -> None:
    units = [
        {service.name: render_systemd(service, SERVER).content for service in rendering.services}
        for rendering in (
            render_journal_receive(site("web-1"), SERVER, materials()),
            render_journal_receive(site("web-1", "db-1"), SERVER, materials()),
        )
    ]
    assert units[1].keys() - units[0].keys() == {"journal-receive-db-1"}
    assert units[0].items() <= units[1].items()


def test_receivers_have_no_network_and_are_started_again_for_good() -> None:
    rendering = render_journal_receive(site("web-1"), SERVER, materials())
    units = {service.name: render_systemd(service, SERVER).content.decode() for service in rendering.services}
    receiver = units["journal-receive-web-1"]
    assert "RestrictAddressFamilies=AF_UNIX\n" in receiver
    assert "Restart=always\n" in receiver
    assert "StartLimitIntervalSec=0\n" in receiver
    assert "-E LD_LIBRARY_PATH -l /var/lib/journal-receive/sockets/web-1" in receiver
    assert "InaccessiblePaths=/var/log/observability\n" in units["journal-receive"]
    assert "InaccessiblePaths" not in receiver


def test_hosts_share_the_room_and_the_limits_are_read_anew() -> None:
    rendering = render_journal_receive(site("web-1"), SERVER, materials())
    (file,) = [file for file in rendering.files if file.path == "etc/journal-receive/trim.json"]
    limits = json.loads(file.content)
    assert limits["maximum_bytes"] == 2 << 30
    assert limits["maximum_age_s"] == 30 * 86_400
    assert limits["journals"]["web-1"]["folder"] == "/var/log/observability/web-1"


def test_the_agent_accepts_the_longest_name_of_a_host() -> None:
    name = "w" * 63
    manifest, _ = build_generation("mon-1", "observability", SERVER, render_node(site(name), SERVER, materials()), KEY)
    validate(manifest, "")
    assert len(f"/var/lib/journal-receive/sockets/{name}") < 108


def test_the_uploader_reads_the_journal_and_keeps_its_key_to_itself() -> None:
    rendering = render_journal_upload(site("web-1"), "web-1", SERVER, host_materials())
    (service,) = rendering.services
    unit = render_systemd(service, SERVER).content.decode()
    assert "SupplementaryGroups=systemd-journal\n" in unit
    assert "--url=https://192.0.2.1:19531/upload" in unit
    (key,) = [file for file in rendering.files if file.path.endswith("key.pem")]
    assert (key.mode, key.owner, key.group, key.secret) == (0o640, "root", "journal-upload", True)
    # A renewed certificate restarts nothing: each connection reads it anew.
    assert [(entry.source, entry.effect) for entry in service.inputs] == [("etc/journal-upload/", "none")]


def test_hosts_ship_unless_they_are_told_not_to() -> None:
    assert Host(address="192.0.2.10").logs
