"""What Prometheus scrapes: jobs with their targets, as file_sd groups and as the instances that a gate expects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from obstack.catalog.modules import ModuleSet, ResolvedModule, ShippedModule, resolve_hosts
from obstack.catalog.modules.findings import PROBER
from obstack.catalog.modules.template import fill_text, has_values, names
from obstack.model.blackbox import ProbeKind
from obstack.model.scalars import duration_seconds, split_address
from obstack.model.site import Site

PROBES: Final = "probes"
HOST_PROBES: Final = "host-probes"
"""The job of the probes from hosts: their series have the label job of all probes."""
PROBE_PATH: Final = "/probe"
FRONT_DOOR: Final = "front-door"
"""The job that looks at the front door's certificate."""
DOOR_MODULE: Final = "front_door"
MODULES: Final = {
    ProbeKind.HTTP: "http_2xx",
    ProbeKind.TCP: "tcp_connect",
    ProbeKind.ICMP: "icmp",
    ProbeKind.DNS: "dns",
    ProbeKind.TLS: "tls_connect",
}


@dataclass(frozen=True)
class Job:
    """One scrape job: its file_sd groups, its targets' `instance` labels, and the unit of ours behind it, if any.

    A `remote` job is that of hosts: by TLS, with the server's client certificate. `path` and `parameters` are those of
    all its targets; a target may have others by its labels. `series` is the label `job` where it is not the name;
    `longest_s` is the longest interval at which a target of it is scraped, where targets differ.
    """

    name: str
    unit: str
    groups: tuple[dict[str, Any], ...]
    instances: tuple[str, ...]
    remote: bool = False
    path: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    series: str = ""
    longest_s: float = 0.0


def public_url(site: Site) -> str:
    """Given a site, return the front door's base URL without a trailing slash."""
    port = site.front_door.https_port
    return f"https://{site.domain}" if port == 443 else f"https://{site.domain}:{port}"


def jobs(site: Site, modules: ModuleSet) -> tuple[Job, ...]:
    """Given a site without findings and all modules, return all scrape jobs.

    First the stack's own components and the probes, then what the user added, then one for each module that hosts use.
    """
    own = (
        _own(site, "prometheus", site.prometheus.port),
        _own(site, "alertmanager", site.alertmanager.port),
        _own(site, "node-exporter", site.node_exporter.port),
        _own(site, "blackbox-exporter", site.blackbox.port),
    )
    door = () if site.front_door.plain_http else (_door(site),)
    probes = (_probes(site),) if any(not probe.hosts for probe in site.blackbox.probes) else ()
    return own + door + probes + _further(site) + _hosts(site, modules)


def _own(site: Site, name: str, port: int) -> Job:
    instance = f"{site.server.name}:{port}"
    labels = {
        "instance": instance,
        "host": site.server.name,
        "environment": site.environment,
        "role": "observability",
    } | site.server.labels
    group = {"targets": [f"127.0.0.1:{port}"], "labels": labels}
    return Job(name, name, (group,), (instance,))


def _door(site: Site) -> Job:
    """What the front door shows to whoever comes to it: its certificate above all."""
    door = f"{site.domain}:{site.front_door.https_port}"
    labels = {
        "instance": door,
        "host": site.server.name,
        "environment": site.environment,
        "probe": FRONT_DOOR,
        "kind": ProbeKind.TLS.value,
    }
    group = {"targets": [f"127.0.0.1:{site.front_door.https_port}"], "labels": labels}
    parameters = {"module": DOOR_MODULE}
    return Job(FRONT_DOOR, "blackbox-exporter", (group,), (door,), path=PROBE_PATH, parameters=parameters)


def _probes(site: Site) -> Job:
    groups = tuple(
        {
            "targets": [probe.target],
            "labels": {
                "probe": probe.name,
                "kind": probe.kind.value,
                "host": site.server.name,
                "environment": site.environment,
                "__param_module": MODULES[probe.kind],
            },
        }
        for probe in site.blackbox.probes
        if not probe.hosts
    )
    instances = tuple(probe.target for probe in site.blackbox.probes if not probe.hosts)
    return Job(PROBES, "blackbox-exporter", groups, instances)


def _further(site: Site) -> tuple[Job, ...]:
    found = []
    for target in site.prometheus.targets:
        path = {} if target.metrics_path == "/metrics" else {"__metrics_path__": target.metrics_path}
        groups = tuple(
            {
                "targets": [address],
                "labels": {"host": split_address(address)[0], "environment": site.environment} | target.labels | path,
            }
            for address in target.addresses
        )
        found.append(Job(target.job, "", groups, target.addresses))
    return tuple(found)


# -------------------------------------------------------------------------------------------- the monitored hosts


def _hosts(site: Site, modules: ModuleSet) -> tuple[Job, ...]:
    """One job for each module with an endpoint: a further host of a known module changes its targets alone."""
    if not site.hosts:
        return ()
    resolved = resolve_hosts(site, modules)
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, used in resolved.items():
        base = _host_labels(site, name)
        for module in used:
            if module.shipped.module.exporter.through is None:
                groups.setdefault(module.name, []).append(_endpoint(site, name, module, base))
    found = [_module_job(modules[name], groups[name]) for name in sorted(groups)]
    return (*found, *_host_probes(site, resolved))


def _host_labels(site: Site, name: str) -> dict[str, str]:
    host, labels = site.hosts[name], {"host": name, "environment": site.environment, "role": "monitored-host"}
    for group in host.groups:
        labels |= site.fleet.groups[group].labels
    return labels | host.labels


def _endpoint(site: Site, name: str, module: ResolvedModule, base: Mapping[str, str]) -> dict[str, Any]:
    labels = {"instance": f"{name}:{module.port}", **base, **_interval(site, module)}
    exporter = module.shipped.module.exporter
    if names(exporter.path):
        labels["__metrics_path__"] = fill_text(exporter.path, _values(site, name, module))
    for parameter, text in exporter.parameters.items():
        if names(text) and has_values(text, values := _values(site, name, module)):
            labels[f"__param_{parameter}"] = fill_text(text, values)
    return {"targets": [_address(site.hosts[name].address, module.port)], "labels": labels}


def _interval(site: Site, module: ResolvedModule) -> dict[str, str]:
    """Return the labels of a target that is scraped at another interval than most."""
    if module.interval == site.prometheus.scrape_interval:
        return {}
    return {"__scrape_interval__": module.interval, "__scrape_timeout__": scrape_timeout(module.interval)}


def _values(site: Site, name: str, module: ResolvedModule) -> dict[str, Any]:
    return endpoint_values(module, name, site.hosts[name].address)


def endpoint_values(module: ResolvedModule, host: str, address: str) -> dict[str, Any]:
    """Given a module and its host's name and address, return what the templates of its endpoint stand for."""
    return {**module.options, "port": module.port, "host": host, "address": address}


def _module_job(shipped: ShippedModule, groups: list[dict[str, Any]]) -> Job:
    exporter = shipped.module.exporter
    return Job(
        name=shipped.name,
        unit="",
        groups=tuple(groups),
        instances=tuple(group["labels"]["instance"] for group in groups),
        remote=True,
        path="" if names(exporter.path) or exporter.path == "/metrics" else fill_text(exporter.path, {}),
        parameters={name: fill_text(text, {}) for name, text in exporter.parameters.items() if not names(text)},
        longest_s=_longest(groups),
    )


def _host_probes(site: Site, resolved: Mapping[str, Iterable[ResolvedModule]]) -> tuple[Job, ...]:
    groups: list[dict[str, Any]] = []
    for probe in site.blackbox.probes:
        for name in probe.hosts:
            prober = next(module for module in resolved[name] if module.name == PROBER)
            labels = {
                "job": PROBES,
                "instance": probe.target,
                "probe": probe.name,
                "kind": probe.kind.value,
                **_host_labels(site, name),
                **_interval(site, prober),
                "__param_module": MODULES[probe.kind],
                "__param_target": probe.target,
            }
            groups.append({"targets": [_address(site.hosts[name].address, prober.port)], "labels": labels})
    if not groups:
        return ()
    instances = tuple(group["labels"]["instance"] for group in groups)
    return (
        Job(
            HOST_PROBES,
            "",
            tuple(groups),
            instances,
            remote=True,
            path=PROBE_PATH,
            series=PROBES,
            longest_s=_longest(groups),
        ),
    )


def longest_interval(site: Site, modules: ModuleSet) -> str:
    """Given a site and all modules, return the longest time between two scrapes of any target, such as `120s`."""
    longest_s = max((job.longest_s for job in jobs(site, modules)), default=0.0)
    return f"{math.ceil(max(longest_s, duration_seconds(site.prometheus.scrape_interval)))}s"


def _longest(groups: Iterable[Mapping[str, Any]]) -> float:
    said = {group["labels"]["__scrape_interval__"] for group in groups if "__scrape_interval__" in group["labels"]}
    return max((duration_seconds(interval) for interval in said), default=0.0)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scrape_timeout(interval: str) -> str:
    """Given how often is scraped, return how long one may take: ten seconds, or the interval where that is shorter."""
    return interval if duration_seconds(interval) < 10 else "10s"
