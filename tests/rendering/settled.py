"""Settled inputs of rendering for the tests: artifacts of each suite, a certificate, logins. Nothing is random."""

from __future__ import annotations

from typing import Final

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.model.layout import Layout, Manager
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.render.materials import Certificate, Login, Materials

VERSIONS: Final = {
    "bookworm": {
        "prometheus": "2.42.0+ds-5+deb12u1",
        "alertmanager": "0.25.0-1+b4",
        "node-exporter": "1.5.0-1+b6",
        "blackbox-exporter": "0.23.0-1+b6",
        "nginx": "1.22.1-9+deb12u3",
        "journal-remote": "252.39-1~deb12u1",
        "nftables": "1.0.6-2+deb12u2",
    },
    "trixie": {
        "prometheus": "2.53.3+ds1-2",
        "alertmanager": "0.28.1+ds-1",
        "node-exporter": "1.9.0-1+b4",
        "blackbox-exporter": "0.26.0-1",
        "nginx": "1.26.3-3+deb13u1",
        "journal-remote": "257.13-1~deb13u1",
        "nftables": "1.1.3-1",
    },
    "sid": {
        "prometheus": "3.5.3+ds1-6",
        "alertmanager": "0.33.1-5",
        "node-exporter": "1.11.1-3",
        "blackbox-exporter": "0.28.0-2",
        "nginx": "1.30.6-2",
        "journal-remote": "262.1-1",
        "nftables": "1.1.6-1",
    },
}
BINARIES: Final = {
    "prometheus": {"prometheus": "usr/bin/prometheus", "promtool": "usr/bin/promtool"},
    "alertmanager": {"alertmanager": "usr/bin/prometheus-alertmanager", "amtool": "usr/bin/amtool"},
    "node-exporter": {"node_exporter": "usr/bin/prometheus-node-exporter"},
    "blackbox-exporter": {"blackbox_exporter": "usr/bin/prometheus-blackbox-exporter"},
    "nginx": {"nginx": "usr/sbin/nginx"},
    "journal-remote": {
        "systemd-journal-remote": "usr/lib/systemd/systemd-journal-remote",
        "journalctl": "usr/bin/journalctl",
    },
    "nftables": {"nft": "usr/sbin/nft"},
}
LIBRARIES: Final = {
    "nginx": ("usr/lib/x86_64-linux-gnu",),
    "nftables": ("usr/lib/x86_64-linux-gnu",),
    "journal-remote": ("usr/lib/x86_64-linux-gnu/systemd", "usr/lib/x86_64-linux-gnu"),
}
SERVER: Final = Layout(root="", manager=Manager.SYSTEMD)
PRIVATE: Final = Layout(
    root="/srv/project/.observability", manager=Manager.SUPERVISOR, python="/srv/project/.venv/bin/python"
)

KEY: Final = bytes(range(32))
"""The key of a node."""

HASH: Final = "$2b$10$J8bUqYz1mJkq1nB4cZ4rWeo3v3m1yYw8Q0n5Hk3T8mJfD0nG8Q7yK"


def artifacts(suite: str) -> dict[str, Artifact]:
    """Return artifacts with the versions of a Debian suite."""
    return {component: _artifact(suite, component) for component in BINARIES}


def _artifact(suite: str, component: str) -> Artifact:
    version = VERSIONS[suite][component]
    entry = ArchiveEntry(f"{component}.deb", f"{len(component):064x}", 1000, "deb")
    return Artifact(
        component=component,
        version=version,
        source="debian",
        suite=suite,
        architecture="amd64",
        archives=(Archive(entry, f"pool/main/{component}.deb"),),
        binaries=BINARIES[component],
        libraries=LIBRARIES.get(component, ()),
    )


def materials(suite: str = "trixie", certificate: Certificate | None = None) -> Materials:
    """Return settled materials for a suite; without a certificate, a readable stand-in that no program is given."""
    return Materials(
        secrets={"smtp-password": Secret("correct horse %$\"'\\ battery")},
        logins=(Login("admin", HASH, Secret("the administrator's password")),),
        gate=Login("observability-gate", HASH, Secret("the gate's password")),
        certificate=certificate or Certificate("CHAIN\n", Secret("KEY\n"), "AUTHORITY\n"),
        artifacts=artifacts(suite),
    )


def small_site() -> Site:
    """Return the smallest site there is: everything by default."""
    return Site.model_validate({"domain": "observability.example.org"})


def full_site() -> Site:
    """Return a site in which every optional part is used."""
    return Site.model_validate(
        {
            "name": "example",
            "environment": "staging",
            "domain": "observability.example.org",
            "server": {"name": "mon-1", "labels": {"rack": "a1"}},
            "prometheus": {
                "scrape_interval": "5s",
                "retention_time": "90d",
                "retention_size": "50GB",
                "external_labels": {"region": "eu $1"},
                "targets": [
                    {"job": "website", "addresses": ["web-1.example.org:9100", "[2001:db8::1]:9100"]},
                    {"job": "shop", "addresses": ["shop-1:8080"], "labels": {"team": "shop"}, "metrics_path": "/m"},
                ],
                "remote_write": [{"url": "https://metrics.example.org/api/v1/write"}],
            },
            "alertmanager": {
                "smtp": {
                    "host": "mail.example.org",
                    "sender": "alerts@example.org",
                    "username": "alerts",
                    "password": "secret:smtp-password",
                },
                "receivers": [
                    {"name": "operators", "email": ["ops@example.org"]},
                    {"name": "hook", "webhook": ["https://hooks.example.org/alerts?token=a%20b"]},
                ],
                "default_receiver": "operators",
                "routes": [{"receiver": "hook", "match": {"severity": "critical", "team": 'a "quoted" \\ name'}}],
            },
            "blackbox": {
                "probes": [
                    {"name": "website", "target": "https://www.example.org/a?b=c&d=%20"},
                    {"name": "database", "kind": "tcp", "target": "db-1.example.org:5432"},
                    {"name": "router", "kind": "icmp", "target": "router.example.org"},
                    {"name": "resolver", "kind": "dns", "target": "dns-1.example.org"},
                ],
            },
            "front_door": {"https_port": 8443, "http_port": 8080},
        }
    )
