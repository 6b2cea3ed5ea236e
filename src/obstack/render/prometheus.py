"""Prometheus: what it scrapes and from where, its rules, its unit, and what proves that it works."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, LinkEntry, ReloadEntry, StateEntry
from obstack.catalog import capabilities
from obstack.catalog.modules import ModuleSet
from obstack.content.dashboards import used_dashboards
from obstack.content.door import LIFE_S
from obstack.content.groups import groups_document, rule_files
from obstack.content.module_rules import module_groups
from obstack.model.front_door import MachineRight
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render import targets
from obstack.render.console import FOLDER as FOLDER_OF_CONSOLES
from obstack.render.console import console_page
from obstack.render.emit import json_bytes, json_rows, yaml_bytes
from obstack.render.materials import Materials
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import megabytes, memory_limit, whole_seconds
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "prometheus"
FOLDER: Final = "etc/prometheus"
MARGIN_S: Final = 15
"""Beyond a scrape interval: the time in which Prometheus sees new targets, and in which one may answer."""
LIMITS: Final = {
    "body_size_limit": "64MB",
    "sample_limit": 200_000,
    "label_limit": 64,
    "label_name_length_limit": 256,
    "label_value_length_limit": 4096,
}
"""Amply what an exporter says. One that was broken into must not fill the server's memory: its scrape fails."""


def render_prometheus(site: Site, layout: Layout, materials: Materials, modules: ModuleSet) -> Rendering:
    """Given the settled site and the modules of its hosts, return what Prometheus contributes to the node."""
    programs = Programs(layout, materials.artifacts[NAME])
    jobs = targets.jobs(site, modules)
    configuration = [_file("prometheus.yml", yaml_bytes(_configuration(site, jobs, programs.artifact.version)))]
    jobs_of_site = tuple(sorted(job.name for job in jobs if job.name not in (targets.PROBES, targets.HOST_PROBES)))
    of_modules = module_groups(site, modules) if site.hosts else ()
    for name, groups in rule_files(jobs_of_site, of_modules, _door_life_s(site)).items():
        configuration.append(_file(f"rules/{name}.yml", yaml_bytes(groups_document(groups))))
    digest = _digest(configuration)
    configuration.append(_file("rules/configuration.yml", yaml_bytes(_marker(digest))))
    files = configuration + [_file(f"targets/{job.name}.json", _groups(job)) for job in jobs]
    files += _consoles(site, modules)
    if any(job.remote for job in jobs):
        files += _tls(layout, materials)
    data = layout.data(NAME)
    account = owner(layout, NAME)
    return Rendering(
        files=tuple(files),
        directories=(DirectoryEntry(data, 0o700, account, account),),
        links=(LinkEntry(layout.etc(NAME), FOLDER),),
        users=users(layout, NAME),
        services=(_service(site, layout, programs),),
        checks=(
            programs.check(
                "prometheus configuration", "promtool", "check", "config", f"{{tree}}/{FOLDER}/prometheus.yml"
            ),
        ),
        gates=_gates(site, jobs, digest),
        artifacts=(programs.artifact.entry,),
    )


def _door_life_s(site: Site) -> int:
    """Return how long the front door's certificate lives, as far as that is for this site to say."""
    internal = site.front_door.certificate.mode == "internal"
    return whole_seconds(site.certificates.lifetime) if internal else LIFE_S


def _file(name: str, content: bytes) -> RenderedFile:
    return RenderedFile(f"{FOLDER}/{name}", content)


def _groups(job: targets.Job) -> bytes:
    # Of thousands of hosts, each has a line: quick to write, and a diff shows the hosts that came or went.
    return json_rows(job.groups) if job.remote else json_bytes(list(job.groups))


def _consoles(site: Site, modules: ModuleSet) -> list[RenderedFile]:
    """The dashboards of the stack and of the modules that hosts use; Prometheus reads them for each request."""
    boards = used_dashboards(site, modules)
    return [_file(f"{FOLDER_OF_CONSOLES}/{name}.html", console_page(name, boards)) for name in boards]


def _tls(layout: Layout, materials: Materials) -> list[RenderedFile]:
    """What is shown to the hosts' exporters, and what they are verified against."""
    if materials.scrape is None:
        raise ValueError("a site with hosts is rendered with the server's scrape certificate")
    key = materials.scrape.key.reveal().encode()
    return [
        _file("tls/authority.pem", materials.towards_hosts.authority.encode()),
        _file("tls/certificate.pem", materials.scrape.chain.encode()),
        RenderedFile(f"{FOLDER}/tls/key.pem", key, 0o640, "root", owner(layout, NAME), secret=True),
    ]


def _digest(files: list[RenderedFile]) -> str:
    """Return the digest of what a reload makes effective; targets take effect by themselves and do not count."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.path} {len(file.content)}\n".encode() + file.content)
    return total.hexdigest()


def _marker(digest: str) -> dict[str, Any]:
    # The running configuration cannot be asked for its files, but its rules can: this one tells which set is loaded.
    rule = {"record": "observability_configuration_info", "expr": "vector(1)", "labels": {"digest": digest}}
    return {"groups": [{"name": "observability-configuration", "rules": [rule]}]}


def _configuration(site: Site, jobs: tuple[targets.Job, ...], version: str) -> dict[str, Any]:
    prometheus = site.prometheus
    labels = {"environment": site.environment, "host": site.server.name} | prometheus.external_labels
    if capabilities.prometheus_expands_external_labels(version):
        labels = {name: value.replace("$", "$$") for name, value in labels.items()}
    document: dict[str, Any] = {
        "global": {
            "scrape_interval": prometheus.scrape_interval,
            "scrape_timeout": targets.scrape_timeout(prometheus.scrape_interval),
            "evaluation_interval": prometheus.evaluation_interval,
            "external_labels": labels,
        },
        "rule_files": ["rules/*.yml"],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{site.alertmanager.port}"]}]}],
        },
        "scrape_configs": [_scrape(site, job, version) for job in jobs],
    }
    if prometheus.remote_write:
        document["remote_write"] = [{"url": remote.url} for remote in prometheus.remote_write]
    return document


def _scrape(site: Site, job: targets.Job, version: str) -> dict[str, Any]:
    scrape: dict[str, Any] = {
        "job_name": job.name,
        # Folder watches do not survive the switch of the generation's link, so the files are also read again by time.
        "file_sd_configs": [{"files": [f"targets/{job.name}.json"], "refresh_interval": "5s"}],
    }
    if capabilities.prometheus_needs_fallback_scrape_protocol(version):
        scrape["fallback_scrape_protocol"] = "PrometheusText0.0.4"
    if job.name == targets.PROBES:
        scrape["metrics_path"] = "/probe"
        scrape["relabel_configs"] = [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{site.blackbox.port}"},
        ]
    if job.name == targets.FRONT_DOOR:
        # By which name it is known, its labels say already.
        scrape["relabel_configs"] = [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{site.blackbox.port}"},
        ]
    if job.path:
        scrape["metrics_path"] = job.path
    if job.parameters:
        scrape["params"] = {name: [value] for name, value in job.parameters.items()}
    if job.remote:
        scrape |= LIMITS
        scrape["scheme"] = "https"
        # Read again for new connections, so that a renewed certificate needs no reload.
        scrape["tls_config"] = {
            "ca_file": "tls/authority.pem",
            "cert_file": "tls/certificate.pem",
            "key_file": "tls/key.pem",
        }
    return scrape


def _service(site: Site, layout: Layout, programs: Programs) -> Service:
    prometheus = site.prometheus
    data = layout.data(NAME)
    configuration = f"{layout.etc(NAME)}/prometheus.yml"
    argv = [
        programs.live("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={prometheus.retention_time}",
        f"--web.listen-address=127.0.0.1:{prometheus.port}",
        f"--web.external-url={targets.public_url(site)}/prometheus/",
        "--web.route-prefix=/",
        f"--web.console.templates={layout.etc(NAME)}/{FOLDER_OF_CONSOLES}",
    ]
    if any(MachineRight.WRITE_METRICS in machine.may for machine in site.front_door.machines):
        argv.append("--web.enable-remote-write-receiver")
    if prometheus.retention_size is not None:
        argv.append(f"--storage.tsdb.retention.size={prometheus.retention_size}")
    memory = megabytes(prometheus.memory_max)
    return Service(
        name=NAME,
        description="Prometheus, the metrics engine",
        argv=tuple(argv),
        user=NAME,
        data=data,
        preflight=((programs.live("promtool"), "check", "config", configuration),),
        environment=memory_limit(memory),
        libraries=programs.libraries,
        after=("alertmanager", "node-exporter", "blackbox-exporter"),
        inputs=(
            InputEntry(f"{FOLDER}/targets/", "none"),
            InputEntry(f"{FOLDER}/{FOLDER_OF_CONSOLES}/", "none"),
            *([InputEntry(f"{FOLDER}/tls/", "none")] if site.hosts else []),
            InputEntry(f"{FOLDER}/", "reload"),
            programs.input,
        ),
        reload=ReloadEntry("signal", "HUP"),
        state=StateEntry(
            data,
            capabilities.prometheus_data_format(programs.artifact.version),
            capabilities.prometheus_readable_formats(programs.artifact.version),
        ),
        sandbox=Sandbox(),
        memory_max=f"{memory}M",
        tasks_max=512,
        open_files=65536,
        start_timeout_s=60,
        stop_timeout_s=120,
    )


def _gates(site: Site, jobs: tuple[targets.Job, ...], digest: str) -> tuple[GateEntry, ...]:
    url = f"http://127.0.0.1:{site.prometheus.port}"
    deadline_s = whole_seconds(site.gates.deadline)
    expected = [
        {"job": job.series or job.name, "instance": instance, "unit": job.unit}
        | ({"host": group["labels"]["host"]} if job.remote else {})
        for job in jobs
        for instance, group in zip(job.instances, job.groups, strict=True)
    ]
    alertmanagers = {"url": url, "addresses": [f"127.0.0.1:{site.alertmanager.port}"]}
    probes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("prometheus is ready", "prometheus-ready", {"url": url}),
        ("prometheus runs this configuration", "prometheus-configuration", {"url": url, "digest": digest}),
        ("prometheus loaded every rule", "prometheus-rules", {"url": url}),
        ("prometheus knows its alertmanager", "prometheus-alertmanagers", alertmanagers),
        ("prometheus scrapes every target", "prometheus-targets", {"url": url, "targets": expected}),
    )
    # A host that is looked at every two minutes cannot have been looked at within one.
    longest_s = max((job.longest_s for job in jobs), default=0.0)
    scraped_s = max(deadline_s, math.ceil(longest_s) + MARGIN_S if longest_s else 0)
    deadlines = {"prometheus-targets": scraped_s}
    return tuple(
        GateEntry(name=name, kind=kind, unit=NAME, params=params, deadline_s=deadlines.get(kind, deadline_s))
        for name, kind, params in probes
    )
