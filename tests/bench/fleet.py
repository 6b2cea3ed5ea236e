"""The server's configuration for a large fleet: how long it takes to render, and how much memory that needs at most.

Each measurement is a process of its own, so that its memory is that of the rendering and of what was loaded for it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from bench.measure import CHECKOUT, Row
from obstack.agent import wire
from obstack.catalog.modules import ModuleSet, ShippedModule
from obstack.edges.modulefile import load_modules
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.node import render_node
from rendering.hosts import server_materials
from rendering.settled import KEY, SERVER

MODULES: Final = 6
TARGETS_S: Final = {1_000: 2.0, 10_000: 20.0}


def rows() -> Iterator[Row]:
    """Measure for each size of the fleet."""
    for hosts, at_most in TARGETS_S.items():
        done = subprocess.run(
            [sys.executable, "-m", "bench.fleet", str(hosts)],
            check=True,
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            env={"PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT / 'tests'}", "PATH": "/usr/bin:/bin"},
        )
        figures: dict[str, float] = json.loads(done.stdout)
        yield Row(
            "render the server of a fleet, manifest, digest, request",
            f"{hosts:,} hosts x {MODULES} modules",
            figures,
            target=("wall_s", at_most),
        )


def fleet(hosts: int, modules: ModuleSet) -> Site:
    """Return a site of this many hosts, each with the same number of modules."""
    used = [name for name, module in modules.items() if _fits(module)]
    chosen: dict[str, Any] = {name: {} for name in used if name != "node"}
    chosen = dict(list(chosen.items())[: MODULES - 1])
    if len(chosen) != MODULES - 1:
        raise ValueError(f"there are not {MODULES} modules that need no options: {', '.join(used)}")
    return Site.model_validate(
        {
            "domain": "observability.example.org",
            "server": {"name": "mon-1", "address": "10.255.0.1"},
            "fleet": {"groups": {f"group-{number}": {"labels": {"team": f"team-{number}"}} for number in range(20)}},
            "hosts": {
                f"web-{number}": {
                    "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                    "groups": [f"group-{number % 20}"],
                    "labels": {"rack": f"r{number % 100}"},
                    "modules": chosen,
                }
                for number in range(hosts)
            },
        }
    )


def _fits(module: ShippedModule) -> bool:
    """Return whether the module has an endpoint of its own, and needs no option."""
    needed = [option for option in module.options.values() if option.default is None and not option.optional]
    return module.module.exporter.through is None and not needed


def measure(hosts: int) -> dict[str, float]:
    """Render once, and return the seconds and bytes that it took; the peak is that of the whole process."""
    modules = load_modules()
    site = fleet(hosts, modules)
    began, spent = time.perf_counter(), time.process_time()
    manifest, _ = build_generation(
        "mon-1", "observability", SERVER, render_node(site, SERVER, server_materials(), modules), KEY
    )
    request = wire.line(wire.Request("apply", {"generation": manifest.identity}, manifest=manifest))
    return {
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - spent,
        "bytes": len(request),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))))
