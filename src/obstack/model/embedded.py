"""The stack that `observability up` runs for a newcomer: everything on loopback, ports in a row, figures for a laptop.

It is configuration like any other: `up` writes it to `config/global.yaml` of the private root, where it can be edited.
"""

from __future__ import annotations

from typing import Any, Final

from obstack.model.site import Site

DOMAIN: Final = "localhost"
PORT_BASE: Final = 19000
LOWEST_PORT_BASE: Final = 1024
HIGHEST_PORT_BASE: Final = 65500

PORTS: Final = (
    ("front_door", "https_port"),
    ("front_door", "http_port"),
    ("prometheus", "port"),
    ("alertmanager", "port"),
    ("node_exporter", "port"),
    ("blackbox", "port"),
    ("logs", "port"),
    ("grafana", "port"),
)
"""The settings that are ports, in the order in which they are counted from the base."""


def embedded_ports(port_base: int) -> dict[str, dict[str, int]]:
    """Given the first port, return the port settings by section."""
    settings: dict[str, dict[str, int]] = {}
    for offset, (section, setting) in enumerate(PORTS):
        settings.setdefault(section, {})[setting] = port_base + offset
    return settings


def embedded_settings(port_base: int) -> dict[str, dict[str, Any] | Any]:
    """Given the first port, return the whole configuration as the plain data of a configuration file."""
    settings: dict[str, dict[str, Any] | Any] = {
        "version": 1,
        "name": "embedded",
        "environment": "local",
        "domain": DOMAIN,
        "server": {"name": DOMAIN},
        "prometheus": {"scrape_interval": "5s", "evaluation_interval": "5s", "retention_time": "7d"},
        "logs": {"retention_time": "7d", "retention_size": "500MB"},
    }
    for section, ports in embedded_ports(port_base).items():
        settings[section] = {**settings.get(section, {}), **ports}
    return settings


def listening_ports(site: Site) -> dict[int, str]:
    """Given a site of an embedded stack, return the ports that it listens on, each with its setting's full name."""
    settings = site.model_dump(mode="json")
    return {settings[section][setting]: f"{section}.{setting}" for section, setting in PORTS}
