"""Archives that were made to fill the disk or the memory, to hang the reader, or to get past it by another kind."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import resource
import stat
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from obstack.agent.faults import AgentError
from obstack.agent.unpack import Limits, unpack_artifact
from obstack.agent.wire import ArchiveEntry, ArtifactEntry
from unit.agent.test_unpack import ESCAPES, HARD, LINK, Thing, everything, tar_of, unpack

pytestmark = pytest.mark.security
ZEROS = bytes(1 << 20)


def deb_of(folder: Path, data: bytes) -> bytes:
    """Return a package whose data are this tar archive."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar": tar_of(Thing("./control", content=b"Package: x\n")),
        "data.tar": data,
    }
    names = []
    for name, content in members.items():
        (folder / name).write_bytes(content)
        names.append(name)
    subprocess.run(["ar", "-r", "-c", "x.deb", *names], cwd=folder, check=True, capture_output=True)
    return (folder / "x.deb").read_bytes()


def packed(tar: tarfile.TarInfo, size: int) -> bytes:
    """Return a compressed archive with one member of so many zeros."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as stream:
        tar.size = size
        stream.write(tar.tobuf(tarfile.GNU_FORMAT))
        for _ in range(size >> 20):
            stream.write(ZEROS)
        stream.write(bytes(1024))
    return buffer.getvalue()


def header(kind: bytes, name: str = "x") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info


def zip_bomb(link: bool) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        info = zipfile.ZipInfo("x")
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o644) << 16
        with bundle.open(info, "w") as stream:
            for _ in range(200):
                stream.write(ZEROS)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_without_end_is_refused_before_it_is_in_memory(kind: bytes, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path, packed(header(kind), 200 << 20))
    assert caught.value.code == "archive-unreadable"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_bomb_is_refused_when_it_has_filled_a_bounded_part_of_the_disk(kind: str, tmp_path: Path) -> None:
    bomb = packed(header(tarfile.REGTYPE), 200 << 20) if kind == "tar" else zip_bomb(link=False)
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path, bomb, kind=kind, limits=Limits(spare=8 << 20))
    assert caught.value.code == "artifact-too-big"
    written = sum(path.stat().st_size for path in (tmp_path / "inner").rglob("*") if path.is_file())
    assert written <= (8 << 20) + 100 * len(bomb) + (1 << 20)


def test_a_link_of_gigabytes_is_no_link(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((AgentError, OSError)):
        unpack(tmp_path, zip_bomb(link=True), kind="zip")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_sparse_file_counts_by_what_it_would_be(tmp_path: Path) -> None:
    """A gigabyte of nothing, described in five hundred bytes."""
    source = tmp_path / "sparse"
    with source.open("wb") as stream:
        stream.truncate(1 << 30)
    made = subprocess.run(["tar", "-S", "-c", "sparse"], cwd=tmp_path, check=True, capture_output=True).stdout
    assert len(made) < 100_000
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path / "there", made, limits=Limits(spare=1 << 20))
    assert caught.value.code == "artifact-too-big"


def test_a_header_that_leads_back_does_not_hang(tmp_path: Path) -> None:
    info = bytearray(header(tarfile.REGTYPE).tobuf(tarfile.GNU_FORMAT))
    info[124:136] = b"\xff" * 8 + (-512 & 0xFFFFFFFF).to_bytes(4, "big")
    info[148:156] = b" " * 8
    info[148:156] = b"%06o\0 " % sum(info)
    began = time.monotonic()
    with pytest.raises(AgentError):
        unpack(tmp_path, bytes(info) * 2 + bytes(1024))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("case", ESCAPES)
def test_a_package_escapes_no_more_than_other_archives(case: str, tmp_path: Path) -> None:
    made = deb_of(tmp_path, tar_of(*ESCAPES[case]))
    folder = tmp_path / "there"
    if case in ("absolute name", "link to the outside", "hard link to the outside"):
        # Its root is the folder itself, where such a link leads nowhere or to a place inside.
        try:
            unpack(folder, made, kind="deb")
        except AgentError as error:
            assert error.code in ("archive-unsafe", "archive-unreadable")
    else:
        with pytest.raises(AgentError):
            unpack(folder, made, kind="deb")
    assert not [path for path in tmp_path.rglob("*") if path.name == "escaped" and "artifact" not in path.parts]


@pytest.mark.parametrize("kind", ["deb", "tar", "zip", "rpm", ""])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 512, b"!<arch>\n", b"PK\x05\x06" + bytes(18), b"\x1f\x8b\x08", b"\xfd7zXZ\x00"]
)
def test_what_is_no_archive_of_its_kind_is_refused_or_empty(kind: str, content: bytes, tmp_path: Path) -> None:
    try:
        made = unpack(tmp_path, content, kind=kind)
    except AgentError as error:
        assert error.code == "archive-unreadable"
    else:
        assert everything(made) == set()


def test_names_that_only_look_alike_stay_apart(tmp_path: Path) -> None:
    """By case, and by the form of an accent: the file systems of servers keep them apart, and so does the index."""
    names = ("Tool", "tool", "caf\u00e9", "cafe\u0301")
    made = unpack(tmp_path, tar_of(*(Thing(name, content=name.encode()) for name in names)))
    assert {path.name: path.read_text() for path in made.iterdir()} == {name: name for name in names}


def test_a_hard_link_that_is_replaced_leaves_the_other_name_alone(tmp_path: Path) -> None:
    made = unpack(
        tmp_path,
        tar_of(Thing("a", content=b"first", mode=0o4755), Thing("b", HARD, target="a"), Thing("a", content=b"second")),
        tar_of(Thing("b", LINK, target="a")),
    )
    assert (made / "a").read_bytes() == b"second"
    assert os.readlink(made / "b") == "a"
    assert not (made / "a").stat().st_mode & (stat.S_ISUID | stat.S_ISGID)


def test_an_archive_with_very_long_names_ends_in_an_error_of_ours_or_of_the_system(tmp_path: Path) -> None:
    with pytest.raises((AgentError, OSError)):
        unpack(tmp_path, tar_of(Thing("a" * 5000, content=b"x")))


def test_compressed_damage_is_told(tmp_path: Path) -> None:
    whole = lzma.compress(tar_of(Thing("a", content=ZEROS)))
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path, whole[: len(whole) // 2])
    assert caught.value.code == "archive-unreadable"


def test_what_the_lock_does_not_know_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"another")
    entry = ArtifactEntry("x", "1", (ArchiveEntry("a", "0" * 64, 7, "file", path="../../escaped"),))
    with pytest.raises(AgentError) as caught:
        unpack_artifact(entry, {"0" * 64: str(tmp_path / "a")}, str(tmp_path / "there"))
    assert caught.value.code == "archive-digest-mismatch"
    with pytest.raises(AgentError):
        unpack(tmp_path / "more", b"x", kind="file", path="../../escaped")
