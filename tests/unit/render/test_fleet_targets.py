"""What the server scrapes of its hosts: by TLS, by module, and so that a further host disturbs nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML

from obstack.agent import impact, wire
from obstack.catalog.modules import module_findings
from obstack.model.fleet_rules import fleet_rules
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.materials import Certificate, Materials
from obstack.render.node import render_node
from rendering.hosts import NODE, fleet_site, modules, server_materials
from rendering.settled import KEY, SERVER

BLACKBOX: dict[str, Any] = {
    "name": "blackbox",
    "title": "Probes",
    "description": "Probes from this host.",
    "service": {"name": "blackbox-exporter", "command": ["/usr/bin/true"]},
    "exporter": {"port": 9115, "key_metric": "blackbox_exporter_build_info"},
}
WEB_2 = {"address": "192.0.2.11", "groups": ["web"], "modules": {"nginx": {}}}


def generation(site: Site, materials: Materials | None = None) -> tuple[wire.Manifest, dict[str, bytes]]:
    manifest, blobs = build_generation(
        "mon-1", "observability", SERVER, render_node(site, SERVER, materials or server_materials(), modules()), KEY
    )
    return manifest, {file.path: blobs[file.digest] for file in manifest.files}


def groups(files: dict[str, bytes], job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(files[f"etc/prometheus/targets/{job}.json"])
    return found


def scrape(files: dict[str, bytes], job: str) -> dict[str, Any]:
    document = YAML(typ="safe", pure=True).load(files["etc/prometheus/prometheus.yml"].decode())
    (found,) = [item for item in document["scrape_configs"] if item["job_name"] == job]
    return dict(found)


def with_hosts(**hosts: Any) -> Site:
    usual = {name: host.model_dump(exclude_unset=True) for name, host in fleet_site().hosts.items()}
    return fleet_site(usual | {name.replace("_", "-"): host for name, host in hosts.items()})


def actions(old: wire.Manifest, new: wire.Manifest) -> dict[str, str]:
    running = {unit.name for unit in old.units}
    return {a.unit: a.action for a in impact.decide(old, new, (), running) if a.action != "none"}


def test_each_host_is_a_target_with_its_labels() -> None:
    _, files = generation(fleet_site())
    assert groups(files, "nginx") == [
        {
            "targets": ["192.0.2.10:9113"],
            "labels": {
                "instance": "web-1:9113",
                "host": "web-1",
                "environment": "production",
                "role": "monitored-host",
                "team": "shop",
                "rack": "a1",
            },
        },
        {
            "targets": ["[2001:db8::7]:9113"],
            "labels": {
                "instance": "db-1:9113",
                "host": "db-1",
                "environment": "production",
                "role": "monitored-host",
                "__scrape_interval__": "60s",
                "__scrape_timeout__": "10s",
            },
        },
    ]


def test_a_module_may_be_scraped_more_often_than_its_host() -> None:
    _, files = generation(fleet_site())
    (group,) = groups(files, "database")
    assert group["labels"]["__scrape_interval__"] == "5s"
    assert group["labels"]["__scrape_timeout__"] == "5s"
    assert group["labels"]["__param_user"] == "observability"


def test_hosts_are_scraped_by_tls_with_the_certificate_of_the_server() -> None:
    _, files = generation(fleet_site())
    job = scrape(files, "database")
    assert job["scheme"] == "https"
    assert job["metrics_path"] == "/probe"
    assert job["params"] == {"database": ["main"]}
    assert job["tls_config"] == {
        "ca_file": "tls/authority.pem",
        "cert_file": "tls/certificate.pem",
        "key_file": "tls/key.pem",
    }
    assert files["etc/prometheus/tls/authority.pem"] == b"AUTHORITY\n", "hosts are signed by the site's authority"
    assert files["etc/prometheus/tls/key.pem"] == b"SCRAPE KEY\n"
    assert "systemd" not in str(files["etc/prometheus/prometheus.yml"]), "its series come with those of node"


def test_the_key_is_for_prometheus_alone() -> None:
    manifest, _ = generation(fleet_site())
    (key,) = [file for file in manifest.files if file.path == "etc/prometheus/tls/key.pem"]
    assert (key.mode, key.owner, key.group, key.secret) == (0o640, "root", "prometheus", True)


def test_a_further_host_of_known_modules_changes_the_targets_and_prometheus_goes_on() -> None:
    old, before = generation(fleet_site())
    new, after = generation(with_hosts(web_2=WEB_2))
    changed = {path for path in after if path.startswith("etc/prometheus/") and before.get(path) != after[path]}
    assert changed == {"etc/prometheus/targets/nginx.json", "etc/prometheus/targets/node.json"}
    for action in (actions(old, new), actions(new, old)):
        assert "prometheus" not in action


def test_a_host_whose_journal_stays_there_acts_on_nothing_at_all() -> None:
    old, _ = generation(fleet_site())
    new, _ = generation(with_hosts(web_2={**WEB_2, "logs": False}))
    assert actions(old, new) == {}


def test_the_first_use_of_a_module_is_a_reload() -> None:
    small = fleet_site({"web-2": {"address": "192.0.2.11"}})
    old, _ = generation(small)
    new, _ = generation(fleet_site({"web-2": WEB_2}))
    assert actions(old, new) == {"prometheus": "reload"}


def test_a_renewed_certificate_acts_on_nothing_and_proves_nothing_else() -> None:
    old, before = generation(fleet_site())
    renewed = replace(server_materials(), scrape=Certificate("NEW\n", Secret("NEW KEY\n"), "SCRAPE AUTHORITY\n"))
    new, after = generation(fleet_site(), renewed)
    assert actions(old, new) == {}
    assert before["etc/prometheus/rules/configuration.yml"] == after["etc/prometheus/rules/configuration.yml"]


def test_the_gate_of_targets_expects_the_hosts_without_answering_for_their_units() -> None:
    manifest, _ = generation(fleet_site())
    (gate,) = [gate for gate in manifest.gates if gate.kind == "prometheus-targets"]
    assert {"job": "database", "instance": "db-1:9104", "unit": "", "host": "db-1"} in gate.params["targets"]


def test_the_gate_of_targets_waits_for_the_host_that_is_looked_at_most_seldom() -> None:
    seldom = {"web-1": {"address": "192.0.2.10", "scrape_interval": "2m"}}
    for hosts, deadline_s in ((seldom, 135), ({"web-1": {"address": "192.0.2.10"}}, 60)):
        manifest, _ = generation(fleet_site(hosts))
        found = {gate.kind: gate.deadline_s for gate in manifest.gates}
        assert (found["prometheus-targets"], found["prometheus-rules"]) == (deadline_s, 60)


def test_a_probe_runs_from_the_hosts_that_it_names() -> None:
    site = fleet_site(
        {"web-1": {"address": "192.0.2.10", "modules": {"blackbox": {"scrape_interval": "30s"}}}},
        blackbox={
            "probes": [
                {"name": "mail", "kind": "tls", "target": "mail.example.org:993", "hosts": ["web-1"]},
                {"name": "website", "target": "https://www.example.org/"},
            ]
        },
    )
    rendering = render_node(site, SERVER, server_materials(), modules(NODE, BLACKBOX))
    manifest, blobs = build_generation("mon-1", "observability", SERVER, rendering, KEY)
    files = {file.path: blobs[file.digest] for file in manifest.files}
    (group,) = groups(files, "host-probes")
    assert group["targets"] == ["192.0.2.10:9115"]
    assert group["labels"]["job"] == "probes"
    assert group["labels"]["__scrape_interval__"] == "30s"
    assert group["labels"]["__param_module"] == "tls_connect"
    assert group["labels"]["__param_target"] == "mail.example.org:993"
    assert scrape(files, "host-probes")["scheme"] == "https"
    assert scrape(files, "host-probes")["metrics_path"] == "/probe"
    assert [item["labels"]["probe"] for item in groups(files, "probes")] == ["website"]
    assert b"tls_connect" not in files["etc/blackbox-exporter/blackbox.yml"]


def test_the_server_itself_looks_at_handshakes_too() -> None:
    site = fleet_site({}, blackbox={"probes": [{"name": "mail", "kind": "tls", "target": "mail.example.org:993"}]})
    _, files = generation(site)
    document = YAML(typ="safe", pure=True).load(files["etc/blackbox-exporter/blackbox.yml"].decode())
    assert document["modules"]["tls_connect"]["tcp"]["tls"] is True


def test_a_probe_from_nowhere_is_found() -> None:
    probes = {"probes": [{"name": "website", "target": "https://www.example.org/", "hosts": ["web-1", "web-9"]}]}
    site = fleet_site(blackbox=probes)
    (unknown,) = [finding for finding in fleet_rules(site) if finding.path[0] == "blackbox"]
    assert unknown.path == ("blackbox", "probes", 0, "hosts", 1)
    (idle,) = [finding for finding in module_findings(site, modules()) if finding.path[0] == "blackbox"]
    assert idle.message == "web-1 does not run the module blackbox"


def test_a_job_of_the_user_may_not_have_the_name_of_a_module() -> None:
    site = fleet_site(prometheus={"targets": [{"job": "nginx", "addresses": ["web-9:9113"]}]})
    (finding,) = [item for item in module_findings(site, modules()) if item.path[0] == "prometheus"]
    assert finding.path == ("prometheus", "targets", 0, "job")
