"""Rendering for any valid fleet: nothing unencrypted leaves a machine, and no secret is readable by everybody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from obstack.agent import paths, wire
from obstack.catalog.modules import ModuleSet, module_findings, resolve_host
from obstack.model.fleet_rules import fleet_rules
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.host import ROLE, exposed_ports, render_host
from obstack.render.node import render_node
from rendering.hosts import DATABASE, NGINX, NODE, PASSWORD, SYSTEMD, host_materials, modules, server_materials
from rendering.settled import KEY, SERVER

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True).map(lambda name: f"h-{name}")
LINE = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Zl", "Zp")), min_size=1, max_size=20)
LABELS = st.dictionaries(st.from_regex(r"x_[a-z]{1,8}", fullmatch=True), LINE, max_size=2)
PORTS = st.integers(20000, 29999)
BLACKBOX: dict[str, Any] = {
    "name": "blackbox",
    "title": "Probes",
    "description": "Probes from this host.",
    "service": {"name": "blackbox-exporter", "command": ["/usr/bin/true", "--web.config.file=${web_config}"]},
    "exporter": {"port": 9115, "key_metric": "blackbox_exporter_build_info"},
}
MODULES: ModuleSet = modules(NODE, SYSTEMD, NGINX, DATABASE, BLACKBOX)


@st.composite
def uses(draw: st.DrawFn) -> dict[str, Any]:
    used: dict[str, Any] = {}
    for name in draw(st.sets(st.sampled_from(["systemd", "nginx", "database", "blackbox"]))):
        used[name] = {"options": {}}
        if name != "systemd" and draw(st.booleans()):
            used[name]["options"]["port"] = draw(PORTS)
        if draw(st.booleans()):
            used[name]["scrape_interval"] = draw(st.sampled_from(["5s", "30s", "2m"]))
    if "database" in used:
        used["database"]["options"] |= {
            "password": "secret:database-password",
            "create_account": draw(st.booleans()),
            "databases": draw(st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True), max_size=3)),
        }
    return used


@st.composite
def fleets(draw: st.DrawFn) -> Site:
    hosts = {
        name: {
            "address": draw(st.sampled_from([f"192.0.2.{number}", f"2001:db8::{number}", f"web-{number}.example.org"])),
            "groups": draw(st.lists(st.sampled_from(["web", "slow"]), unique=True)),
            "labels": draw(LABELS),
            "modules": draw(uses()),
        }
        for number, name in enumerate(draw(st.lists(NAMES, unique=True, min_size=1, max_size=4)), 1)
    }
    probers = [name for name, host in hosts.items() if "blackbox" in host["modules"]]
    probes = [{"name": "website", "target": "https://www.example.org/", "hosts": probers}] if probers else []
    return Site.model_validate(
        {
            "domain": "observability.example.org",
            "server": {"name": "mon-1", "address": "192.0.2.200"},
            "fleet": {"groups": {"web": {"labels": draw(LABELS)}, "slow": {"scrape_interval": "60s"}}},
            "blackbox": {"probes": probes},
            "hosts": hosts,
        }
    )


def valid(site: Site) -> bool:
    return not fleet_rules(site) and not module_findings(site, MODULES)


def server(site: Site) -> tuple[wire.Manifest, dict[str, bytes]]:
    return build_generation(
        "mon-1", "observability", SERVER, render_node(site, SERVER, server_materials(), MODULES), KEY
    )


def host(site: Site, name: str) -> tuple[wire.Manifest, dict[str, bytes]]:
    return build_generation(name, ROLE, SERVER, render_host(site, name, SERVER, host_materials(), MODULES), KEY)


def scraped(site: Site) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every address that Prometheus connects to, with the settings of its job."""
    manifest, blobs = server(site)
    files = {file.path: blobs[file.digest] for file in manifest.files}
    document = YAML(typ="safe", pure=True).load(files["etc/prometheus/prometheus.yml"].decode())
    for job in document["scrape_configs"]:
        replaced = [rule["replacement"] for rule in job.get("relabel_configs", []) if "replacement" in rule]
        for group in json.loads(files[f"etc/prometheus/targets/{job['job_name']}.json"]):
            assert "__scheme__" not in group["labels"]
            for target in group["targets"]:
                yield job, (replaced or [target])[0]


@settings(max_examples=60, deadline=None)
@given(site=fleets())
def test_everything_off_loopback_is_scraped_by_tls_with_a_client_certificate(site: Site) -> None:
    if not valid(site):
        return
    for job, address in scraped(site):
        if not address.startswith("127.0.0.1:"):
            assert job["scheme"] == "https", address
            assert set(job["tls_config"]) == {"ca_file", "cert_file", "key_file"}, "verification is never turned off"


@settings(max_examples=60, deadline=None)
@given(site=fleets())
def test_the_same_fleet_has_the_same_bytes_and_the_agent_accepts_them(site: Site) -> None:
    if not valid(site):
        return
    again = Site.model_validate(site.model_dump())
    for generation in (server, *(lambda given, name=name: host(given, name) for name in site.hosts)):
        manifest, blobs = generation(site)
        other, others = generation(again)
        assert manifest.identity == other.identity
        assert blobs == others
        paths.validate(manifest, "")


@settings(max_examples=60, deadline=None)
@given(site=fleets())
def test_no_secret_is_in_a_file_that_everybody_may_read(site: Site) -> None:
    if not valid(site):
        return
    for name in site.hosts:
        manifest, blobs = host(site, name)
        for file in manifest.files:
            content = blobs[file.digest].decode()
            if file.secret:
                assert file.mode & 0o007 == 0, file.path
            else:
                assert all(secret not in content for secret in (PASSWORD, "HOST KEY", "GATE KEY")), file.path
        assert PASSWORD.encode() not in manifest.body


@settings(max_examples=60, deadline=None)
@given(site=fleets())
def test_every_port_that_is_bound_off_loopback_is_one_that_the_firewall_is_told(site: Site) -> None:
    if not valid(site):
        return
    for name in site.hosts:
        manifest, blobs = host(site, name)
        ports = exposed_ports(resolve_host(site, MODULES, name))
        gates = [gate.params["url"] for gate in manifest.gates if gate.kind == "exporter"]
        assert {int(url.split(":")[2].partition("/")[0]) for url in gates} == set(ports)
        bound = set()
        for file in manifest.files:
            text = blobs[file.digest].decode()
            if file.path.endswith("exporter-proxy/nginx.conf"):
                words = [line.split()[1] for line in text.splitlines() if line.strip().startswith("listen ")]
                bound |= {int(word.strip('";').rpartition(":")[2]) for word in words}
            elif file.path.startswith("units/"):
                words = [word for word in text.split() if word.startswith("--web.listen-address=:")]
                bound |= {int(word.rpartition(":")[2]) for word in words}
        assert bound <= set(ports)


@settings(max_examples=60, deadline=None)
@given(site=fleets())
def test_the_server_listens_on_loopback_or_where_its_firewall_lets_in(site: Site) -> None:
    if not valid(site):
        return
    manifest, blobs = server(site)
    contents = {file.path: blobs[file.digest].decode() for file in manifest.files}
    rules = json.loads(contents["etc/observability-firewall/rules.json"])
    assert rules["closed"]
    declared = {opening["port"] for opening in rules["openings"] if opening["protocol"] == "tcp"}
    bound = {
        match[1] for text in contents.values() for match in re.finditer(r"listen(?:-address=| )(\S+?)[;\s\"]", text)
    }
    loopback = {place for place in bound if re.match(r"127\.0\.0\.1:|\[::1\]:|unix:", place)}
    assert any(place.endswith(f":{site.prometheus.port}") for place in loopback)
    assert {int(place.rpartition(":")[2]) for place in bound - loopback} <= declared
