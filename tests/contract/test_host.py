"""The exporters of a host are started, at every version: TLS that opens to the server alone, and Prometheus gets in."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.debian import Distribution
from contract.staging import Memory, Staged, materials, write_tree
from contract.test_running import free_ports, install
from obstack.agent import wire
from obstack.agent.gate import GateContext, run_gates
from obstack.agent.supervisor import Supervisor
from obstack.catalog.modules import ModuleSet
from obstack.edges.certificates import InternalAuthority
from obstack.edges.embedded.supervisord import Supervisord
from obstack.edges.modulefile import load_modules
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.host import ROLE, render_host
from obstack.render.materials import HostMaterials
from obstack.render.node import render_node
from rendering.hosts import NODE, modules
from rendering.settled import KEY, artifacts

pytestmark = pytest.mark.contract

PLAIN: dict[str, Any] = {
    "name": "plain",
    "title": "An exporter without TLS",
    "description": "What the proxy is there for.",
    "artifact": NODE["artifact"],
    "service": {
        "name": "plain-exporter",
        "command": ["${program.node_exporter}", "--web.listen-address=${listen}"],
    },
    "exporter": {"tls": "proxy", "port": 9101, "backend_port": 19101, "key_metric": 'node_cpu_seconds_total{cpu="0"}'},
}


@dataclass(frozen=True)
class Running:
    """The programs of one machine under a supervisord of their own."""

    layout: Layout
    staged: Staged
    supervisord: Supervisord
    manager: Supervisor

    def pid(self, name: str) -> int:
        """Return the process of a unit."""
        return self.manager.states([unit for unit in self.staged.manifest.units if unit.name == name])[name].pid

    def gates(self, *gates: wire.GateEntry) -> list[wire.GateResult]:
        """Run gates; without any given, all of the manifest."""
        context = GateContext(self.layout.root, str(self.staged.tree), self.staged.manifest, self.manager)
        return list(run_gates(gates or self.staged.manifest.gates, context))


def start(manifest: wire.Manifest, blobs: dict[str, bytes], suite: Distribution, folder: Path) -> Running:
    layout = layout_of(folder)
    staged = write_tree(manifest, blobs, suite, folder)
    install(staged, layout)
    supervisord, manager = Supervisord(layout), Supervisor(layout.root)
    supervisord.start()
    running = Running(layout, staged, supervisord, manager)
    for unit in manifest.units:
        shutil.copy(staged.tree / unit.file, manager.definition_path(unit))
    manager.reload_definitions()
    for unit in manifest.units:
        manager.start(unit)
    return running


def layout_of(folder: Path) -> Layout:
    return Layout(root=str(folder / "root"), manager=Manager.SUPERVISOR, python=sys.executable)


@dataclass(frozen=True)
class Fleet:
    """A host and the Prometheus that watches it."""

    host: Running
    server: Running
    site: Site


@pytest.fixture(scope="module")
def fleet(suite: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    node_port, plain_port, backend_port, prober_port, prometheus_port = free_ports(5)
    site = Site.model_validate(
        {
            "domain": "observability.example.org",
            "server": {"name": "mon-1", "address": "127.0.0.1"},
            "prometheus": {"port": prometheus_port, "scrape_interval": "1s"},
            "hosts": {
                "web-1": {
                    "address": "127.0.0.1",
                    "logs": False,
                    "firewall": False,
                    "modules": {
                        "node": {"options": {"port": node_port, "units": "ssh.service"}},
                        "plain": {"options": {"port": plain_port}},
                        "blackbox": {"options": {"port": prober_port}},
                    },
                }
            },
            "blackbox": {
                "probes": [
                    {"name": "metrics", "kind": "tcp", "target": f"127.0.0.1:{prometheus_port}", "hosts": ["web-1"]},
                    # The certificate is not one that the prober trusts, which is an answer all the same.
                    {"name": "exporter", "kind": "tls", "target": f"127.0.0.1:{node_port}", "hosts": ["web-1"]},
                ]
            },
        }
    )
    plain = {**PLAIN, "exporter": {**PLAIN["exporter"], "backend_port": backend_port}}
    brought = load_modules()
    used: ModuleSet = {**modules(plain), "node": without_systemd(brought), "blackbox": brought["blackbox"]}
    authority, now = InternalAuthority(Memory(), "example"), time.time()
    host_materials = HostMaterials(
        secrets={},
        certificate=authority.certificate("host-web-1", ["web-1", "127.0.0.1"], now, purpose="both"),
        scrape_authority=authority.authority_pem("scrape", now),
        gate=authority.self_signed("gate-web-1", now),
        artifacts=artifacts(suite.suite),
    )
    server_materials = dataclasses.replace(
        materials(suite, site.domain, now),
        certificate=authority.certificate("front-door", [site.domain], now),
        scrape=authority.certificate("scrape-client", ["scrape-client"], now, purpose="client", by="scrape"),
    )
    folder = tmp_path_factory.mktemp(f"fleet-{suite.suite}")
    started: list[Running] = []
    try:
        layout = layout_of(folder / "web-1")
        rendering = render_host(site, "web-1", layout, host_materials, used)
        started.append(start(*build_generation("web-1", ROLE, layout, rendering, KEY), suite, folder / "web-1"))
        layout = layout_of(folder / "mon-1")
        manifest, blobs = build_generation(
            "mon-1", "observability", layout, render_node(site, layout, server_materials, used), KEY
        )
        alone = dataclasses.replace(
            manifest, units=tuple(dataclasses.replace(u, after=()) for u in manifest.units if u.name == "prometheus")
        )
        started.append(start(alone, blobs, suite, folder / "mon-1"))
        yield Fleet(started[0], started[1], site)
    finally:
        for running in started:
            running.supervisord.stop()


def without_systemd(shipped: ModuleSet) -> Any:
    """The module as it is shipped, but for the collector that asks a systemd which a private root has not."""
    node = shipped["node"]
    service = node.module.service
    assert service is not None
    command = tuple(word for word in service.command if not word.startswith("--collector.systemd"))
    module = node.module.model_copy(update={"service": service.model_copy(update={"command": command})})
    return dataclasses.replace(node, module=module)


def gate(fleet: Fleet, module: str) -> wire.GateEntry:
    (found,) = [item for item in fleet.host.staged.manifest.gates if item.name == f"{module} answers the server only"]
    return found


def test_every_gate_of_the_host_is_green(fleet: Fleet) -> None:
    results = fleet.host.gates()
    assert [(result.name, result.message, result.evidence) for result in results if not result.passed] == []
    assert {result.kind for result in results} == {"units-active", "exporter"}


def test_prometheus_scrapes_both_with_its_certificate(fleet: Fleet) -> None:
    assert answered(fleet, *(f'up{{job="{job}",host="web-1"}} == 1' for job in ("node", "plain", "blackbox")))


def test_a_probe_runs_from_the_host(fleet: Fleet) -> None:
    assert answered(
        fleet,
        'probe_success{job="probes",probe="metrics",host="web-1",kind="tcp"} == 1',
        'probe_success{job="probes",probe="exporter",host="web-1",kind="tls"} == 0',
    )


def test_prometheus_reads_a_renewed_certificate_by_itself(fleet: Fleet) -> None:
    """Shown by one that exporters refuse, for what is accepted looks the same as before."""
    folder = fleet.server.staged.tree / "etc/prometheus/tls"
    kept = {name: (folder / name).read_bytes() for name in ("certificate.pem", "key.pem")}
    stranger = InternalAuthority(Memory(), "stranger").certificate("x", ["x"], time.time(), purpose="client")
    before = fleet.server.pid("prometheus")
    exporter = next(unit for unit in fleet.host.staged.manifest.units if unit.name == "node-exporter")
    (folder / "certificate.pem").write_text(stranger.chain)
    (folder / "key.pem").write_text(stranger.key.reveal())
    try:
        fleet.host.manager.restart(exporter)  # open connections go on; the next one is made with what is there now
        assert answered(fleet, 'up{job="node",host="web-1"} == 0')
    finally:
        for name, content in kept.items():
            (folder / name).write_bytes(content)
    assert answered(fleet, 'up{job="node",host="web-1"} == 1')
    assert fleet.server.pid("prometheus") == before


def answered(fleet: Fleet, *queries: str) -> bool:
    """Return whether Prometheus comes to have an answer to each query, within some seconds."""
    url = f"http://127.0.0.1:{fleet.site.prometheus.port}"
    questions = [wire.GateEntry(query, "metric", "", {"url": url, "query": query}, 20) for query in queries]
    return all(result.passed for result in fleet.server.gates(*questions))


@pytest.mark.parametrize(
    ("module", "change", "expected"),
    [
        ("node", {"metric": "node_nonsense"}, "without node_nonsense"),
        ("plain", {"metric": 'node_cpu_seconds_total{cpu="none"}'}, "without"),
        ("node", {"server_name": "web-2"}, "certificate"),
        ("plain", {"digest": "0" * 64}, "configuration"),
        ("node", {"authority": "etc/observability-exporters/observability-gate/certificate.pem"}, "certificate"),
    ],
)
def test_the_gate_is_red_for_what_is_not_as_it_must_be(
    fleet: Fleet, module: str, change: dict[str, str], expected: str
) -> None:
    asked = gate(fleet, module)
    (result,) = fleet.host.gates(dataclasses.replace(asked, params=asked.params | change, deadline_s=1))
    assert not result.passed
    assert expected in result.message


@pytest.mark.parametrize("module", ["node", "plain"])
def test_the_certificate_of_another_host_opens_nothing(fleet: Fleet, module: str) -> None:
    """A host's own certificate is signed by the site's authority, which exporters do not trust for clients."""
    tls = f"etc/observability-exporters/{'node-exporter' if module == 'node' else 'exporter-proxy'}/tls"
    stranger = {"certificate": f"{tls}/certificate.pem", "key": f"{tls}/key.pem"}
    asked = gate(fleet, module)
    (result,) = fleet.host.gates(dataclasses.replace(asked, params=asked.params | stranger, deadline_s=1))
    assert not result.passed


@pytest.mark.parametrize(
    ("module", "file", "old", "new"),
    [
        ("node", "node-exporter/web.yml", "RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
        ("plain", "exporter-proxy/nginx.conf", "ssl_verify_client on", "ssl_verify_client optional"),
    ],
)
def test_an_exporter_that_answers_everybody_is_red(fleet: Fleet, module: str, file: str, old: str, new: str) -> None:
    path = f"etc/observability-exporters/{file}"
    asked = dataclasses.replace(gate(fleet, module), deadline_s=8)
    proxy = next(unit for unit in fleet.host.staged.manifest.units if unit.name == "exporter-proxy")
    fleet.host.staged.rewrite(path, old, new)
    # The exporter itself reads its file for each connection.
    fleet.host.manager.reload(proxy)
    try:
        assert "to a client without a certificate" in red_within(fleet, asked).message
    finally:
        fleet.host.staged.rewrite(path, new, old)
        fleet.host.manager.reload(proxy)
    (result,) = fleet.host.gates(asked)
    assert result.passed


def red_within(fleet: Fleet, asked: wire.GateEntry) -> wire.GateResult:
    """Ask until the gate is red: a proxy takes its time to reload."""
    deadline = time.monotonic() + 8
    while True:
        (result,) = fleet.host.gates(dataclasses.replace(asked, deadline_s=0))
        if not result.passed or time.monotonic() > deadline:
            assert not result.passed
            return result
        time.sleep(0.1)
