"""systemd's own judgement of the units: exposure at most 2.0 each, and each deviation from the base is one we chose."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.node import render_node
from rendering.settled import KEY, SERVER, full_site, materials, small_site

pytestmark = pytest.mark.contract

UNITS = ("prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "nginx")
BOUND = 2.0


def unit_file(name: str, folder: Path, site: Site) -> Path:
    rendering = render_node(site, SERVER, materials())
    manifest, blobs = build_generation("mon-1", "observability", SERVER, rendering, KEY)
    (entry,) = (file for file in manifest.files if file.path == f"units/{name}.service")
    path = folder / f"{name}.service"
    path.write_bytes(blobs[entry.digest])
    return path


def exposure(path: Path) -> float:
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert found, judged.stdout + judged.stderr
    return float(found[1])


@pytest.mark.parametrize("site", [small_site(), full_site()], ids=["small", "full"])
@pytest.mark.parametrize("name", UNITS)
def test_each_unit_is_hardly_exposed(name: str, site: Site, tmp_path: Path) -> None:
    assert exposure(unit_file(name, tmp_path, site)) <= BOUND


def test_the_measure_notices_a_missing_sandbox(tmp_path: Path) -> None:
    path = unit_file("prometheus", tmp_path, small_site())
    kept = [line for line in path.read_text().splitlines() if not line.startswith(("SystemCall", "Protect", "Private"))]
    path.write_text("\n".join(kept) + "\n")
    assert exposure(path) > BOUND
