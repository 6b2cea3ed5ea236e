"""Release archives, mirrors and the cache, against a real web server that serves archives made here."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from contract.artifacts.conftest import Silent
from contract.artifacts.webserver import WebServer
from obstack.agent.unpack import unpack_artifact
from obstack.catalog.components import NGINX, NODE_EXPORTER, Component
from obstack.edges.cache import ArtifactCache
from obstack.edges.download import WebDownloads
from obstack.edges.mirror import Mirror
from obstack.edges.releases import Releases
from obstack.errors import ChangeFailed, Unreachable, UsageError
from obstack.model.components import ArtifactChoice, Source

pytestmark = pytest.mark.contract

NAME = "node_exporter-9.9.9.linux-amd64.tar.gz"


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        program = b"#!/bin/sh\necho node_exporter 9.9.9\n"
        info = tarfile.TarInfo("node_exporter-9.9.9.linux-amd64/node_exporter")
        info.mode, info.size = 0o755, len(program)
        tar.addfile(info, io.BytesIO(program))
    return buffer.getvalue()


ARCHIVE = archive()
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()


def component(webserver: WebServer) -> Component:
    """The node exporter with one release, which the web server has."""
    assert NODE_EXPORTER.release is not None
    release = replace(
        NODE_EXPORTER.release,
        url=f"{webserver.url}/v{{version}}/node_exporter-{{version}}.linux-{{architecture}}.tar.gz",
        default="9.9.9",
        digests={"9.9.9": {"amd64": DIGEST}},
    )
    return replace(NODE_EXPORTER, release=release)


def publish(webserver: WebServer, content: bytes = ARCHIVE) -> None:
    (webserver.folder / "v9.9.9").mkdir()
    (webserver.folder / "v9.9.9" / NAME).write_bytes(content)


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path / "cache")


@pytest.fixture
def downloads(reporter: Silent) -> WebDownloads:
    return WebDownloads(reporter)


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_release_is_fetched_verified_kept_and_unpacked(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads, reporter: Silent, tmp_path: Path
) -> None:
    publish(webserver)
    releases = Releases(cache, None, downloads)
    artifact = releases.resolve(component(webserver), ArtifactChoice(source=Source.RELEASE), "amd64")
    assert (artifact.version, artifact.source, artifact.suite) == ("9.9.9", "release", None)
    assert artifact.archives[0].entry.size == len(ARCHIVE)
    assert f"Fetching {NAME} {len(ARCHIVE)}/{len(ARCHIVE)}" in reporter.messages
    assert files_of(tmp_path / "cache") == {f"sha256/{DIGEST}"}
    unpack_artifact(artifact.entry, {DIGEST: str(cache.find(artifact.archives[0].entry))}, str(tmp_path / "artifact"))
    assert (tmp_path / "artifact" / artifact.binaries["node_exporter"]).is_file()


def test_what_is_cached_is_not_asked_for_again(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads
) -> None:
    publish(webserver)
    releases = Releases(cache, None, downloads)
    choice = ArtifactChoice(source=Source.RELEASE)
    artifact = releases.resolve(component(webserver), choice, "amd64")
    assert releases.resolve(component(webserver), choice, "amd64") == artifact
    releases.fetch([artifact])
    assert webserver.requests == [f"/v9.9.9/{NAME}"]


def test_another_content_is_thrown_away_and_both_digests_are_named(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads, tmp_path: Path
) -> None:
    publish(webserver, b"something else")
    with pytest.raises(ChangeFailed) as caught:
        Releases(cache, None, downloads).resolve(component(webserver), ArtifactChoice(source=Source.RELEASE), "amd64")
    assert DIGEST in caught.value.where
    assert hashlib.sha256(b"something else").hexdigest() in caught.value.where
    assert files_of(tmp_path / "cache") == set()


def test_an_answer_that_breaks_off_leaves_nothing_that_looks_complete(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads, tmp_path: Path
) -> None:
    publish(webserver)
    webserver.broken = True
    with pytest.raises(Unreachable) as caught:
        Releases(cache, None, downloads).resolve(component(webserver), ArtifactChoice(source=Source.RELEASE), "amd64")
    assert caught.value.code == "download-failed"
    assert len(webserver.requests) == 3
    assert files_of(tmp_path / "cache") == set()


def test_a_server_that_refuses_is_not_asked_twice(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads
) -> None:
    publish(webserver)
    webserver.status = 403
    with pytest.raises(Unreachable, match="could not be fetched"):
        Releases(cache, None, downloads).resolve(component(webserver), ArtifactChoice(source=Source.RELEASE), "amd64")
    assert len(webserver.requests) == 1


def test_a_release_that_is_not_there_is_named(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads
) -> None:
    with pytest.raises(Unreachable) as caught:
        Releases(cache, None, downloads).resolve(component(webserver), ArtifactChoice(source=Source.RELEASE), "amd64")
    assert caught.value.code == "archive-not-found"
    assert webserver.url in caught.value.where


@pytest.mark.parametrize("over_http", [False, True])
def test_the_mirror_is_asked_first_and_is_laid_out_like_the_cache(
    over_http: bool, webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads, tmp_path: Path
) -> None:
    publish(webserver)
    other = tmp_path / "other"
    Releases(ArtifactCache(other), None, downloads).resolve(
        component(webserver), ArtifactChoice(source=Source.RELEASE), "amd64"
    )
    shutil.copytree(other, webserver.folder / "mirror")
    webserver.requests.clear()
    location = f"{webserver.url}/mirror/" if over_http else str(webserver.folder / "mirror")
    mirror = Mirror(location, cache, downloads)
    for downloader, source in ((downloads, "release"), (None, "mirror")):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        artifact = Releases(cache, mirror, downloader).resolve(component(webserver), ArtifactChoice(), "amd64")
        assert artifact.source == source
        assert cache.verify(DIGEST) is not None
    assert set(webserver.requests) == ({f"/mirror/sha256/{DIGEST}"} if over_http else set())


def test_a_mirror_that_holds_something_else_is_refused(
    cache: ArtifactCache, downloads: WebDownloads, tmp_path: Path
) -> None:
    (tmp_path / "mirror/sha256").mkdir(parents=True)
    (tmp_path / "mirror/sha256" / DIGEST).write_bytes(b"something else")
    with pytest.raises(ChangeFailed) as caught:
        Mirror(str(tmp_path / "mirror"), cache, downloads).fetch(NAME, DIGEST)
    assert str(tmp_path / "mirror/sha256" / DIGEST) in caught.value.where


def test_without_the_projects_sites_only_the_mirror_is_asked(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads, tmp_path: Path
) -> None:
    publish(webserver)
    (tmp_path / "mirror").mkdir()
    mirror = Mirror(str(tmp_path / "mirror"), cache, downloads)
    with pytest.raises(Unreachable) as caught:
        Releases(cache, mirror, None).resolve(component(webserver), ArtifactChoice(source=Source.MIRROR), "amd64")
    assert f"sha256/{DIGEST}" in caught.value.do
    assert webserver.requests == []


def test_what_is_not_pinned_is_refused_with_what_is(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads
) -> None:
    releases = Releases(cache, None, downloads)
    with pytest.raises(UsageError) as caught:
        releases.resolve(component(webserver), ArtifactChoice(source=Source.RELEASE, version="1.0.0"), "amd64")
    assert "pinned are 9.9.9" in caught.value.where
    with pytest.raises(UsageError) as caught:
        releases.resolve(NGINX, ArtifactChoice(source=Source.RELEASE), "amd64")
    assert "source to debian" in caught.value.do


def test_a_damaged_archive_in_the_cache_is_fetched_again(
    webserver: WebServer, cache: ArtifactCache, downloads: WebDownloads, tmp_path: Path
) -> None:
    publish(webserver)
    releases = Releases(cache, None, downloads)
    choice = ArtifactChoice(source=Source.RELEASE)
    releases.resolve(component(webserver), choice, "amd64")
    (tmp_path / "cache/sha256" / DIGEST).write_bytes(b"x" * len(ARCHIVE))
    releases.resolve(component(webserver), choice, "amd64")
    assert (tmp_path / "cache/sha256" / DIGEST).read_bytes() == ARCHIVE
