"""What Prometheus scrapes: jobs with their targets, as file_sd groups and as the instances that a gate expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from obstack.model.blackbox import ProbeKind
from obstack.model.scalars import split_address
from obstack.model.site import Site

PROBES: Final = "probes"
MODULES: Final = {
    ProbeKind.HTTP: "http_2xx",
    ProbeKind.TCP: "tcp_connect",
    ProbeKind.ICMP: "icmp",
    ProbeKind.DNS: "dns",
}


@dataclass(frozen=True)
class Job:
    """One scrape job: its file_sd groups, its targets' `instance` labels, and the unit of ours behind it, if any."""

    name: str
    unit: str
    groups: tuple[dict[str, Any], ...]
    instances: tuple[str, ...]


def public_url(site: Site) -> str:
    """Given a site, return the front door's base URL without a trailing slash."""
    port = site.front_door.https_port
    return f"https://{site.domain}" if port == 443 else f"https://{site.domain}:{port}"


def jobs(site: Site) -> tuple[Job, ...]:
    """Given a site, return all scrape jobs: the stack's own components, the probes, then what the user added."""
    own = (
        _own(site, "prometheus", site.prometheus.port),
        _own(site, "alertmanager", site.alertmanager.port),
        _own(site, "node-exporter", site.node_exporter.port),
        _own(site, "blackbox-exporter", site.blackbox.port),
    )
    probes = (_probes(site),) if site.blackbox.probes else ()
    return own + probes + _further(site)


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
    )
    return Job(PROBES, "blackbox-exporter", groups, tuple(probe.target for probe in site.blackbox.probes))


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
