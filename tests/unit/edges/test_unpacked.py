"""What an artifact unpacks to, found out from its archives in the cache; a damaged one tells nothing."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.edges.cache import ArtifactCache
from obstack.edges.unpacked import Unpacked


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path / "cache")


@pytest.fixture
def artifact(cache: ArtifactCache, tmp_path: Path) -> Artifact:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("thing/bin/program")
        member.size, member.mode = 7, 0o755
        tar.addfile(member, io.BytesIO(b"program"))
    content = buffer.getvalue()
    file = tmp_path / "fetched"
    file.write_bytes(content)
    entry = ArchiveEntry("thing.tar", hashlib.sha256(content).hexdigest(), len(content), "tar", strip=1)
    cache.take(file, name=entry.name, digest=entry.digest, origin="a test")
    return Artifact("thing", "1.0", "release", None, "amd64", (Archive(entry, "https://example.org/thing.tar"),), {})


def files(cache: ArtifactCache, artifact: Artifact) -> dict[str, Path]:
    found = {archive.entry.digest: cache.find(archive.entry) for archive in artifact.archives}
    return {digest: file for digest, file in found.items() if file is not None}


def test_it_is_told_by_path_and_leaves_nothing_behind(cache: ArtifactCache, artifact: Artifact, tmp_path: Path) -> None:
    unpacked = Unpacked(cache)
    unpacked.prepare(artifact, files(cache, artifact))
    digest = hashlib.sha256(b"program").hexdigest()
    assert unpacked.inventory(artifact) == {"bin": "directory 0755", "bin/program": f"file 0755 {digest}"}
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["sha256"]


@pytest.mark.security
def test_a_damaged_archive_tells_nothing_and_is_left_where_it_is(cache: ArtifactCache, artifact: Artifact) -> None:
    (entry,) = (archive.entry for archive in artifact.archives)
    assert cache.look(entry) is True
    (place,) = files(cache, artifact).values()
    content = bytearray(place.read_bytes())
    content[600] ^= 1
    place.write_bytes(content)
    unpacked = Unpacked(cache)
    unpacked.prepare(artifact, files(cache, artifact))
    assert unpacked.inventory(artifact) is None
    assert cache.look(entry) is False
    place.unlink()
    assert cache.look(entry) is None
