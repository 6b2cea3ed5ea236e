"""A small fleet for the tests of rendering: modules of every form, and two hosts that use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.modules import ModuleSet, ShippedModule
from obstack.model.module import Module, ModuleRules
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.render.materials import Certificate, HostMaterials, Materials
from rendering.settled import materials

PASSWORD: Final = "correct-horse_battery"

NODE: Final[dict[str, Any]] = {
    "name": "node",
    "title": "The machine",
    "description": "Processors, memory, disks.",
    "artifact": {
        "name": "node-exporter",
        "packages": [{"name": "prometheus-node-exporter", "only": ["usr/bin/prometheus-node-exporter"]}],
        "programs": {"node_exporter": ["usr/bin/prometheus-node-exporter"]},
    },
    "service": {
        "name": "node-exporter",
        "command": [
            "${program.node_exporter}",
            "--web.listen-address=${listen}",
            "--web.config.file=${web_config}",
            "--collector.textfile.directory=${textfile}",
        ],
        "access": {"families": ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"], "host_mounts": True, "clock": True},
    },
    "exporter": {"port": 9100, "key_metric": "node_uname_info"},
}
SYSTEMD: Final[dict[str, Any]] = {
    "name": "systemd",
    "title": "The service manager",
    "description": "Units that failed.",
    "needs": ["node"],
    "exporter": {"through": "node", "key_metric": 'node_systemd_unit_state{state="failed"}'},
}
NGINX: Final[dict[str, Any]] = {
    "name": "nginx",
    "title": "nginx",
    "description": "Connections and requests.",
    "options": {
        "status_port": {"type": "port", "default": 8099, "description": "Loopback port of its status page."},
        "server_name": {"type": "string", "optional": True, "description": "Name of the status page."},
    },
    "artifact": {
        "name": "nginx-exporter",
        "packages": [{"name": "prometheus-nginx-exporter", "only": ["usr/bin/prometheus-nginx-exporter"]}],
        "programs": {"nginx_exporter": ["usr/bin/prometheus-nginx-exporter"]},
    },
    "files": [
        {
            "path": "status.conf",
            "format": "nginx",
            "content": [
                [
                    "server",
                    [
                        ["listen", "127.0.0.1:${status_port}"],
                        ["server_name", "${server_name}"],
                        ["set", "$$page", "status"],
                        ["location", "=", "/status", [["stub_status"]]],
                    ],
                ]
            ],
            "link": "/etc/nginx/conf.d/observability-status.conf",
            "unit": "nginx.service",
            "check": ["/usr/sbin/nginx", "-t", "-q"],
        }
    ],
    "service": {
        "name": "nginx-exporter",
        "command": [
            "${program.nginx_exporter}",
            "--web.listen-address=${listen}",
            "--nginx.scrape-uri=http://127.0.0.1:${status_port}/status",
        ],
        "after": ["nginx.service"],
    },
    "exporter": {"tls": "proxy", "port": 9113, "backend_port": 19113, "key_metric": "nginx_up"},
}
DATABASE: Final[dict[str, Any]] = {
    "name": "database",
    "title": "A database",
    "description": "Connections.",
    "options": {
        "create_account": {"type": "boolean", "default": False, "description": "Whether an account is made."},
        "user": {"type": "name", "default": "observability", "description": "The account's name."},
        "password": {"type": "secret", "optional": True, "description": "Its password."},
        "databases": {"type": "list", "default": ["shop", "blog"], "description": "Which are watched."},
    },
    "artifact": {
        "name": "database-exporter",
        "packages": [{"name": "prometheus-mysqld-exporter", "only": ["usr/bin/prometheus-mysqld-exporter"]}],
        "programs": {"exporter": ["usr/bin/prometheus-mysqld-exporter"]},
    },
    "files": [
        {
            "path": "client.cnf",
            "format": "ini",
            "content": {"client": {"user": "${user}", "password": "${password}", "port": 3306}},
            "secret": True,
        },
        {
            "path": "exporter.env",
            "format": "environment",
            "content": {"DATABASES": "${databases}", "PASSWORD": "${password}"},
            "secret": True,
        },
        {"path": "queries.yml", "format": "yaml", "content": {"databases": "${databases}", "host": "${host}"}},
        {"path": "queries.json", "format": "json", "content": [{"port": "${port}"}]},
        {"path": "notes.txt", "format": "text", "content": ["at ${address}", "costs $$5"]},
    ],
    "service": {
        "name": "database-exporter",
        "command": ["${program.exporter}", "--web.listen-address=${listen}", "--script=${file.lines.py}"],
        "environment": {"HOME": "/nonexistent"},
        "environment_file": "exporter.env",
        "data": True,
        "reload": True,
        "after": ["mariadb.service"],
        "access": {"groups": ["mysql"], "families": ["AF_UNIX"], "textfile": True},
    },
    "account": {
        "option": "create_account",
        "command": ["/usr/bin/mariadb", "--batch"],
        "create": ["CREATE USER IF NOT EXISTS '${user}'@'localhost' IDENTIFIED BY '${password}';"],
        "remove": ["DROP USER IF EXISTS '${user}'@'localhost';"],
        "after": ["mariadb.service"],
    },
    "exporter": {
        "port": 9104,
        "path": "/probe",
        "parameters": {"database": "main", "user": "${user}"},
        "key_metric": "mysql_up",
    },
}


def modules(*manifests: Mapping[str, Any]) -> ModuleSet:
    """Return the modules of these manifests; without any, all of this file."""
    chosen = manifests or (NODE, SYSTEMD, NGINX, DATABASE)
    files = {"database": {"lines.py": b"print(1)\n"}}
    return {
        manifest["name"]: ShippedModule(
            Module.model_validate(manifest), ModuleRules(), files=files.get(manifest["name"], {})
        )
        for manifest in chosen
    }


def fleet_site(hosts: Mapping[str, Any] | None = None, **changes: Any) -> Site:
    """Return a site with two hosts, or the hosts given."""
    return Site.model_validate(
        {
            "domain": "observability.example.org",
            "server": {"name": "mon-1", "address": "192.0.2.1"},
            "fleet": {"groups": {"web": {"labels": {"team": "shop"}}, "slow": {"scrape_interval": "60s"}}},
            "hosts": {
                "web-1": {
                    "address": "192.0.2.10",
                    "groups": ["web"],
                    "labels": {"rack": "a1"},
                    "modules": {"nginx": {}, "systemd": {}},
                },
                "db-1": {
                    "address": "2001:db8::7",
                    "groups": ["slow"],
                    "modules": {
                        "database": {
                            "options": {"create_account": True, "password": "secret:database-password"},
                            "scrape_interval": "5s",
                        },
                        "nginx": {},
                    },
                },
            }
            if hosts is None
            else hosts,
            **changes,
        }
    )


def host_artifacts() -> dict[str, Artifact]:
    """Return the artifacts of every module of this file, and those of the hosts' own components."""
    programs = {
        "node-exporter": {"node_exporter": "usr/bin/prometheus-node-exporter"},
        "nginx-exporter": {"nginx_exporter": "usr/bin/prometheus-nginx-exporter"},
        "database-exporter": {"exporter": "usr/bin/prometheus-mysqld-exporter"},
        "nginx": {"nginx": "usr/sbin/nginx"},
        "nftables": {"nft": "usr/sbin/nft"},
    }
    return {
        name: Artifact(
            component=name,
            version="1.0-1",
            source="debian",
            suite="trixie",
            architecture="amd64",
            archives=(Archive(ArchiveEntry(f"{name}.deb", f"{len(name):064x}", 1000, "deb"), f"pool/main/{name}.deb"),),
            binaries=binaries,
            libraries=("usr/lib/x86_64-linux-gnu",) if name == "nginx" else (),
        )
        for name, binaries in programs.items()
    }


def host_materials(certificate: Certificate | None = None, gate: Certificate | None = None) -> HostMaterials:
    """Return settled materials of a host; without certificates, readable stand-ins that no program is given."""
    return HostMaterials(
        secrets={"database-password": Secret(PASSWORD)},
        certificate=certificate or Certificate("HOST CHAIN\n", Secret("HOST KEY\n"), "SITE AUTHORITY\n"),
        scrape_authority="SCRAPE AUTHORITY\n",
        gate=gate or Certificate("GATE CERTIFICATE\n", Secret("GATE KEY\n"), "GATE CERTIFICATE\n"),
        artifacts=host_artifacts(),
    )


def server_materials() -> Materials:
    """Return settled materials of the server of a site with hosts."""
    scrape = Certificate("SCRAPE CERTIFICATE\n", Secret("SCRAPE KEY\n"), "SCRAPE AUTHORITY\n")
    return replace(materials(), scrape=scrape)
