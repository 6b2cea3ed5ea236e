"""Whole trees, file by file: a change of what is rendered shows itself in the review as what it is.

`make golden` writes the expected trees anew.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from obstack.agent import wire
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.host import ROLE, render_host
from obstack.render.node import render_node
from rendering.hosts import fleet_site, host_materials, modules, server_materials
from rendering.settled import KEY, PRIVATE, SERVER, full_site, materials, small_site

TREES = Path(__file__).parent / "trees"
SITES = {"small": small_site(), "full": full_site()}
LAYOUTS = {"server": SERVER, "private": PRIVATE}
FLEET = fleet_site()
CONSOLES = "etc/prometheus/consoles/"
"""The same pages in every tree; they have tests of their own."""


def rendered(site: Site, layout: Layout) -> dict[str, bytes]:
    return written(*build_generation("mon-1", "observability", layout, render_node(site, layout, materials()), KEY))


def written(manifest: wire.Manifest, blobs: dict[str, bytes]) -> dict[str, bytes]:
    files = {file.path: blobs[file.digest] for file in manifest.files if not file.path.startswith(CONSOLES)}
    # Without the fields that have their default value, as it is kept: a new field of the wire is no change of a tree.
    files["manifest.json"] = json.dumps(json.loads(manifest.body), indent=1, sort_keys=True).encode() + b"\n"
    return files


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("site", SITES)
def test_the_tree_is_as_it_was_reviewed(site: str, layout: str) -> None:
    compare(TREES / f"{site}-{layout}", rendered(SITES[site], LAYOUTS[layout]))


@pytest.mark.parametrize("host", FLEET.hosts)
def test_the_tree_of_a_host_is_as_it_was_reviewed(host: str) -> None:
    rendering = render_host(FLEET, host, SERVER, host_materials(), modules())
    compare(TREES / f"fleet-{host}", written(*build_generation(host, ROLE, SERVER, rendering, KEY)))


def test_the_tree_of_their_server_is_as_it_was_reviewed() -> None:
    rendering = render_node(FLEET, SERVER, server_materials(), modules())
    compare(TREES / "fleet-server", written(*build_generation("mon-1", "observability", SERVER, rendering, KEY)))


def compare(folder: Path, files: dict[str, bytes]) -> None:
    """Compare with the folder of a reviewed tree; or write it anew, when asked to."""
    if os.environ.get("GOLDEN_UPDATE"):
        shutil.rmtree(folder, ignore_errors=True)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    expected = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert sorted(files) == sorted(expected)
    for path, content in files.items():
        assert content.decode() == (folder / path).read_text(), path
