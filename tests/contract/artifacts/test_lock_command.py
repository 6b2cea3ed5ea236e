"""`observability lock` itself, on the real mirror: resolve once, then need nothing of the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.cache import cache_folder
from obstack.catalog.components import ARCHITECTURES, COMPONENTS
from obstack.edges.debian.apt import own_architecture

pytestmark = pytest.mark.contract

SOURCE = Path(__file__).parents[3] / "src"


def lock(
    configuration: Path, *arguments: str, code: int = 0, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "obstack.cli.main", "lock", "--config", str(configuration), "--json", *arguments],
        capture_output=True,
        text=True,
        env=os.environ
        | {"PYTHONPATH": str(SOURCE), "OBSERVABILITY_CACHE": str(cache_folder("artifacts"))}
        | dict(environment or {}),
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/global.yaml").write_text("version: 1\ndomain: mon-1.internal\n")
    return tmp_path / "config"


def test_a_lock_is_made_once_and_kept_without_any_network(configuration: Path, tmp_path: Path) -> None:
    own = own_architecture()
    made = lock(configuration, "--architecture", own)
    assert made["changed"] is True
    rows = made["architectures"][own]
    assert {row["component"] for row in rows} == set(COMPONENTS) - {"grafana"}
    assert all(row["source"] == "debian" and row["before"] is None for row in rows)
    file = Path(made["file"])
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    # Neither apt nor dpkg can be found, and every proxy is a closed port.
    nowhere = {"PATH": str(tmp_path), "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    again = lock(configuration, "--verify", "--architecture", own, environment=nowhere)
    assert again["changed"] is False
    both = lock(configuration, environment=nowhere)
    assert list(both["left_out"]) == [name for name in ARCHITECTURES if name != own]
    assert both["changed"] is False
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_a_damaged_lock_is_refused_as_configuration(configuration: Path) -> None:
    (configuration / "artifacts.lock.json").write_text('{"architectures": {}, "surprise": 1}\n')
    refused = lock(configuration, code=2)
    assert refused["error"]["problems"][0]["message"] == "lock: unknown field 'surprise'"


@pytest.mark.security
def test_both_architectures_are_locked_by_the_digests_of_their_own_archives(configuration: Path) -> None:
    one = lock(configuration, "--architecture", "arm64")
    assert set(one["architectures"]) == {"arm64"}
    both = lock(configuration)
    assert set(both["architectures"]) == set(ARCHITECTURES)
    assert both["left_out"] == {}
    locked = json.loads(Path(both["file"]).read_text())["architectures"]
    assert set(locked) == {"amd64", "arm64"}
    names = {archive["entry"]["name"] for archive in locked["arm64"]["nginx"]["archives"]}
    assert any(name.startswith("nginx_") and name.endswith("_arm64.deb") for name in names)
    assert locked["arm64"]["nginx"]["libraries"] != locked["amd64"]["nginx"]["libraries"]


def test_a_lock_that_is_not_current_is_told(configuration: Path) -> None:
    own = own_architecture()
    lock(configuration, "--architecture", own)
    assert lock(configuration, "--check")["current"] is True
    file = configuration / "artifacts.lock.json"
    document = json.loads(file.read_text())
    document["architectures"][own]["prometheus"]["version"] = "2.0"
    document["architectures"][own]["nginx"]["archives"][0]["entry"]["digest"] = "0" * 64
    del document["architectures"][own]["alertmanager"]
    file.write_text(json.dumps(document))
    before = file.read_bytes()
    found = lock(configuration, "--check", code=1)
    assert found["current"] is False
    stale = {item["component"]: item["standing"] for item in found["artifacts"] if item["standing"] != "current"}
    assert stale == {"prometheus": "newer version", "nginx": "newer parts", "alertmanager": "not locked"}
    assert file.read_bytes() == before
    assert lock(configuration, "--check", "--update-all", code=2)["error"]["code"] == "usage"


def test_what_hosts_need_is_locked_for_each_of_their_platforms(configuration: Path, tmp_path: Path) -> None:
    (configuration / "global.yaml").write_text("version: 1\ndomain: mon-1.internal\nserver: {address: 192.0.2.1}\n")
    (configuration / "hosts").mkdir()
    for suite in ("bookworm", "trixie"):
        (configuration / f"hosts/{suite}-1.yaml").write_text(
            f"address: 192.0.2.1{len(suite)}\nsuite: {suite}\narchitecture: amd64\n"
        )
    own = ("--architecture", own_architecture())
    made = lock(configuration, *own)
    assert set(made["hosts"]) == {"bookworm/amd64", "trixie/amd64"}
    for platform, rows in made["hosts"].items():
        assert {"node-exporter", "nftables"} <= {row["component"] for row in rows}
        assert all(row["suite"] == platform.partition("/")[0] for row in rows)
    nowhere = {"PATH": str(tmp_path), "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    assert lock(configuration, *own, environment=nowhere)["changed"] is False
    unknown = lock(configuration, "--update", "nodeexporter", code=2)
    assert "node-exporter" in unknown["error"]["where"]
