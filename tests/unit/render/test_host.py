"""A monitored host as its modules make it: what runs, as whom, with which files, and what proves it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from obstack.agent import impact, paths, wire
from obstack.catalog.modules import resolve_host
from obstack.errors import UsageError
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.host import ROLE, exposed_ports, render_host
from obstack.render.materials import HostMaterials
from obstack.render.tree import Rendering
from rendering.hosts import DATABASE, NGINX, NODE, PASSWORD, SYSTEMD, fleet_site, host_materials, modules
from rendering.settled import KEY, SERVER

FOLDER = "etc/observability-exporters"


def rendering(name: str = "db-1", site: Site | None = None, materials: HostMaterials | None = None) -> Rendering:
    return render_host(site or fleet_site(), name, SERVER, materials or host_materials(), modules())


def text(name: str, path: str, **given: Any) -> str:
    manifest, blobs = build_generation(name, ROLE, SERVER, rendering(name, **given), KEY)
    (entry,) = [file for file in manifest.files if file.path == path]
    return blobs[entry.digest].decode()


@pytest.mark.parametrize("name", ["web-1", "db-1"])
def test_the_agent_accepts_the_manifest(name: str) -> None:
    manifest, _ = build_generation(name, ROLE, SERVER, rendering(name), KEY)
    paths.validate(manifest, "")
    assert manifest.role == "monitored-host"


def test_an_exporter_that_speaks_tls_is_bound_to_its_port_and_others_to_loopback() -> None:
    unit = text("web-1", "units/node-exporter.service")
    assert "--web.listen-address=:9100" in unit
    assert f"--web.config.file=/{FOLDER}/node-exporter/web.yml" in unit
    assert "--web.listen-address=127.0.0.1:19113" in text("web-1", "units/nginx-exporter.service")
    proxy = text("web-1", f"{FOLDER}/exporter-proxy/nginx.conf")
    assert "listen 9113 ssl;" in proxy
    assert "proxy_pass http://127.0.0.1:19113;" in proxy
    assert "ssl_verify_client on;" in proxy


def test_the_proxy_of_a_host_with_an_ipv6_address_listens_there_too() -> None:
    assert 'listen "[::]:9113" ssl ipv6only=off;' in text("db-1", f"{FOLDER}/exporter-proxy/nginx.conf")


def test_every_service_has_its_own_copy_of_the_key_that_nobody_else_may_read() -> None:
    keys = {file.path: file for file in rendering("web-1").files if file.path.endswith("tls/key.pem")}
    assert set(keys) == {f"{FOLDER}/{unit}/tls/key.pem" for unit in ("node-exporter", "exporter-proxy")}
    for path, file in keys.items():
        unit = path.split("/")[2]
        assert (file.mode, file.owner, file.group, file.secret) == (0o640, "root", unit, True)
    clients = text("web-1", f"{FOLDER}/node-exporter/tls/clients.pem")
    assert clients == "SCRAPE AUTHORITY\nGATE CERTIFICATE\n", "the site's authority would let every host in"


def test_a_renewed_certificate_restarts_nothing() -> None:
    old, _ = build_generation("web-1", ROLE, SERVER, rendering("web-1"), KEY)
    given = host_materials()
    renewed = replace(given, certificate=replace(given.certificate, chain="NEW\n", key=Secret("NEW KEY\n")))
    new, _ = build_generation("web-1", ROLE, SERVER, rendering("web-1", materials=renewed), KEY)
    running = {unit.name for unit in old.units}
    actions = {a.unit: a.action for a in impact.decide(old, new, (), running) if a.action != "none"}
    assert actions == {"exporter-proxy": "reload"}


def test_files_are_written_in_their_formats() -> None:
    assert text("db-1", f"{FOLDER}/database-exporter/client.cnf") == (
        f"[client]\nuser=observability\npassword={PASSWORD}\nport=3306\n"
    )
    assert text("db-1", f"{FOLDER}/database-exporter/exporter.env") == f"DATABASES=shop,blog\nPASSWORD={PASSWORD}\n"
    assert text("db-1", f"{FOLDER}/database-exporter/notes.txt") == "at 2001:db8::7\ncosts $5\n"
    assert json.loads(text("db-1", f"{FOLDER}/database-exporter/queries.json")) == [{"port": 9104}]
    assert "databases:\n- shop\n- blog\nhost: db-1\n" in text("db-1", f"{FOLDER}/database-exporter/queries.yml")
    assert text("db-1", f"{FOLDER}/database-exporter/files/lines.py") == "print(1)\n"


def test_a_directive_of_an_option_that_was_not_given_is_left_out_and_variables_stay() -> None:
    snippet = text("web-1", f"{FOLDER}/nginx-exporter/status.conf")
    assert "server_name" not in snippet
    assert 'set "$page" status;' in snippet
    assert "location = /status {" in snippet


def test_a_value_cannot_become_a_variable_of_nginx() -> None:
    hosts = {
        "web-1": {
            "address": "192.0.2.10",
            "modules": {"nginx": {"options": {"server_name": "$hostname"}}},
        }
    }
    with pytest.raises(UsageError, match="hostname"):
        rendering("web-1", fleet_site(hosts))


def test_a_snippet_is_linked_and_its_reader_told() -> None:
    parts = rendering("web-1")
    assert (
        wire.LinkEntry("/etc/nginx/conf.d/observability-status.conf", f"{FOLDER}/nginx-exporter/status.conf")
        in parts.links
    )
    (nginx,) = [unit for unit in parts.units if unit.name == "nginx.service"]
    assert nginx.file == ""
    assert nginx.check == ("/usr/sbin/nginx", "-t", "-q")
    assert nginx.inputs == (wire.InputEntry(f"{FOLDER}/nginx-exporter/status.conf", "reload"),)
    (service,) = [service for service in parts.services if service.name == "nginx-exporter"]
    assert service.inputs[1] == wire.InputEntry(f"{FOLDER}/nginx-exporter/status.conf", "none")


def test_an_account_is_made_before_the_exporter_starts_and_only_when_asked_for() -> None:
    services = {service.name: service for service in rendering("db-1").services}
    account, exporter = services["database-exporter-account"], services["database-exporter"]
    assert exporter.after == ("database-exporter-account",)
    assert account.oneshot
    assert account.follows == ("mariadb.service",)
    assert account.argv[-2:] == ("/usr/bin/mariadb", "--batch")
    assert account.argv[3] == f"/{FOLDER}/database-exporter/account/create"
    assert account.stop[0][3] == f"/{FOLDER}/database-exporter/account/remove"
    assert PASSWORD in text("db-1", f"{FOLDER}/database-exporter/account/create")
    assert PASSWORD not in text("db-1", "units/database-exporter-account.service")
    unasked = {
        "db-1": {"address": "192.0.2.7", "modules": {"database": {"options": {"password": "secret:database-password"}}}}
    }
    names = [service.name for service in rendering("db-1", fleet_site(unasked)).services]
    assert "database-exporter-account" not in names


def test_a_secret_that_would_end_the_text_it_stands_in_is_refused_without_being_told() -> None:
    with pytest.raises(UsageError) as refused:
        rendering("db-1", materials=replace(host_materials(), secrets={"database-password": Secret("a' OR 'b")}))
    assert "OR" not in f"{refused.value.what} {refused.value.detail}"


def test_a_secret_without_a_value_is_named() -> None:
    with pytest.raises(UsageError, match="database-password"):
        rendering("db-1", materials=replace(host_materials(), secrets={}))


def test_who_writes_metrics_for_the_node_exporter_may_do_so_and_be_read() -> None:
    parts = rendering("db-1")
    folder = wire.DirectoryEntry("/var/lib/observability-textfile", 0o775, "root", "observability-textfile")
    assert folder in parts.directories
    assert wire.UserEntry("observability-textfile") in parts.users
    unit = text("db-1", "units/database-exporter.service")
    assert "SupplementaryGroups=mysql observability-textfile\n" in unit
    assert "ReadWritePaths=/var/lib/observability-textfile\n" in unit
    assert "UMask=0022\n" in unit


def test_each_endpoint_is_gated_and_what_goes_through_another_too() -> None:
    gates = {gate.name: gate for gate in rendering("web-1").gates}
    assert gates["node answers the server only"].params["url"] == "https://127.0.0.1:9100/metrics"
    assert gates["nginx answers the server only"].params["digest"]
    systemd = gates["systemd answers the server only"]
    assert systemd.unit == "node-exporter"
    assert systemd.params["metric"] == 'node_systemd_unit_state{state="failed"}'
    database = {gate.name: gate for gate in rendering("db-1").gates}["database answers the server only"]
    assert database.params["url"] == "https://127.0.0.1:9104/probe?database=main&user=observability"


def test_the_firewall_is_told_every_port_that_is_listened_on() -> None:
    site = fleet_site()
    assert exposed_ports(resolve_host(site, modules(), "web-1")) == (9100, 9113)
    assert exposed_ports(resolve_host(site, modules(), "db-1")) == (9100, 9104, 9113)


def test_artifacts_and_foreign_units_that_modules_share_are_given_once() -> None:
    other = {**NGINX, "name": "nginx-again", "service": {**NGINX["service"], "name": "again"}}
    other["files"] = [{**NGINX["files"][0], "link": "/etc/nginx/conf.d/again.conf"}]
    other["exporter"] = {**NGINX["exporter"], "port": 9114, "backend_port": 19114}
    hosts = {"web-1": {"address": "192.0.2.10", "modules": {"nginx": {}, "nginx-again": {}}}}
    parts = render_host(fleet_site(hosts), "web-1", SERVER, host_materials(), modules(NODE, SYSTEMD, NGINX, other))
    assert [artifact.name for artifact in parts.artifacts] == ["nginx-exporter", "node-exporter", "nginx", "nftables"]
    (nginx,) = [unit for unit in parts.units if unit.name == "nginx.service"]
    assert len(nginx.inputs) == 2


def test_an_exporter_as_root_makes_no_user() -> None:
    rooted = {**DATABASE, "service": {**DATABASE["service"], "access": {"root": True}}}
    site = fleet_site()
    parts = render_host(site, "db-1", SERVER, host_materials(), modules(NODE, NGINX, rooted))
    assert "database-exporter" not in [user.name for user in parts.users]
    (service,) = [service for service in parts.services if service.name == "database-exporter"]
    assert service.user == "root"
