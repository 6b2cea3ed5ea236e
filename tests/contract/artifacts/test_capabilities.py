"""What the catalogue says a version can do is what the program of that version does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from contract.artifacts.test_debian import environment, unpacked
from obstack.catalog import capabilities
from obstack.catalog.components import NGINX, PROMETHEUS
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.packages import DebianPackages
from obstack.model.components import ArtifactChoice

pytestmark = pytest.mark.contract

SCRAPE = "scrape_configs: [{job_name: any, fallback_scrape_protocol: PrometheusText0.0.4}]\n"
SERVER = "events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:1; http2 on; }} }}\npid {folder}/pid;\n"


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "sid"])
def test_the_fallback_protocol_is_known_where_it_is_needed(
    suite: str, debian: DebianPackages, shared_cache: ArtifactCache, tmp_path: Path
) -> None:
    artifact = debian.resolve(PROMETHEUS, ArtifactChoice(suite=suite), own_architecture())
    folder = unpacked(artifact, shared_cache, tmp_path / "artifact")
    (tmp_path / "prometheus.yml").write_text(SCRAPE)
    done = subprocess.run(
        [folder / artifact.binaries["promtool"], "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) is capabilities.prometheus_needs_fallback_scrape_protocol(artifact.version)


def test_the_http2_directive_is_known_where_it_is_said_to_be(
    debian: DebianPackages, shared_cache: ArtifactCache, tmp_path: Path
) -> None:
    artifact = debian.resolve(NGINX, debian.settle(ArtifactChoice()), own_architecture())
    folder = unpacked(artifact, shared_cache, tmp_path / "artifact")
    (tmp_path / "nginx.conf").write_text(SERVER.format(folder=tmp_path))
    done = subprocess.run(
        [folder / artifact.binaries["nginx"], "-t", "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"],
        env=environment(artifact, folder),
        capture_output=True,
        text=True,
        check=False,
    )
    known = 'unknown directive "http2"' not in done.stderr
    assert known is capabilities.nginx_http2_directive(artifact.version), done.stderr
