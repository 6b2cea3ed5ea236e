"""From the configuration file to the request: how the work grows with the number of hosts that are scraped."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.measure import Row, time_function
from obstack.agent import wire
from obstack.edges.configfile import GLOBAL_FILE, FileConfigurations
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.node import render_node
from rendering.settled import KEY, SERVER, materials

HOSTS: Final = (1, 100, 1_000)
TIMES: Final = 5


def rows() -> Iterator[Row]:
    """Measure reading, and rendering with the manifest and its digest, for each number of hosts."""
    for hosts in HOSTS:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, GLOBAL_FILE).write_text(json.dumps(configuration(hosts), indent=2), encoding="utf-8")
            configurations = FileConfigurations(Path(folder))
            yield Row("read and judge global.yaml", _of(hosts), time_function(configurations.load, TIMES))
            site = configurations.load().site
        figures = time_function(lambda site=site: request(site), TIMES)  # type: ignore[misc]
        yield Row("render, manifest, digest, request", _of(hosts), {**figures, "bytes": len(request(site))})


def configuration(hosts: int) -> dict[str, Any]:
    """Return the configuration of a server that scrapes the exporter of this many hosts."""
    addresses = [f"web-{number}.example.org:9100" for number in range(1, hosts + 1)]
    return {
        "version": 1,
        "environment": "testing",
        "domain": "observability.example.org",
        "server": {"name": "mon-1"},
        "prometheus": {"targets": [{"job": "web", "addresses": addresses}]},
    }


def request(site: Site) -> bytes:
    """Given a site, return the line that an apply sends to the agent."""
    manifest, _ = build_generation(
        site.server.name, "observability", SERVER, render_node(site, SERVER, materials()), KEY
    )
    return wire.line(wire.Request("apply", {"generation": manifest.identity}, manifest=manifest))


def _of(hosts: int) -> str:
    return f"{hosts:,} host{'' if hosts == 1 else 's'}"
