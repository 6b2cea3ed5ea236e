"""Unpacking: what is taken over, what is refused, and that nothing ever appears outside the folder."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import stat
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obstack.agent.faults import AgentError
from obstack.agent.unpack import Limits, unpack_artifact
from obstack.agent.wire import ArchiveEntry, ArtifactEntry


@dataclass(frozen=True)
class Thing:
    """One member of an archive under test."""

    name: str
    kind: bytes = tarfile.REGTYPE
    content: bytes = b""
    target: str = ""
    mode: int = 0o644


def tar_of(*things: Thing) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for thing in things:
            info = tarfile.TarInfo(thing.name)
            info.type = thing.kind
            info.size = len(thing.content)
            info.linkname = thing.target
            info.mode = thing.mode
            info.uid = info.gid = 4242
            tar.addfile(info, io.BytesIO(thing.content))
    return buffer.getvalue()


def zip_of(*things: Thing) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for thing in things:
            info = zipfile.ZipInfo(thing.name)
            kind = stat.S_IFLNK if thing.kind == tarfile.SYMTYPE else stat.S_IFREG
            info.external_attr = (kind | thing.mode) << 16
            bundle.writestr(info, thing.content)
    return buffer.getvalue()


def unpack(
    folder: Path,
    *contents: bytes,
    kind: str = "tar",
    strip: int = 0,
    only: tuple[str, ...] = (),
    path: str = "",
    limits: Limits | None = None,
) -> Path:
    folder.mkdir(exist_ok=True)
    archives: dict[str, str] = {}
    entries: list[ArchiveEntry] = []
    for number, content in enumerate(contents):
        file = folder / f"archive-{number}"
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        archives[digest] = str(file)
        entries.append(ArchiveEntry(file.name, digest, len(content), kind, strip, path, only))
    destination = folder / "inner" / "artifact"
    unpack_artifact(ArtifactEntry("thing", "1", tuple(entries)), archives, str(destination), limits or Limits())
    return destination


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def test_files_folders_and_links_arrive_with_safe_modes(tmp_path: Path) -> None:
    made = unpack(
        tmp_path,
        tar_of(
            Thing("./bin", FOLDER, mode=0o777),
            Thing("./bin/tool", content=b"program", mode=0o6777),
            Thing("share/notes", content=b"text", mode=0o666),
            Thing("bin/alias", LINK, target="tool"),
            Thing("bin/same", HARD, target="./bin/tool"),
        ),
    )
    assert (made / "bin/tool").read_bytes() == b"program"
    assert stat.S_IMODE((made / "bin").stat().st_mode) == 0o755
    assert stat.S_IMODE((made / "bin/tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((made / "share/notes").stat().st_mode) == 0o644
    assert (made / "bin/tool").stat().st_uid == os.getuid()
    assert os.readlink(made / "bin/alias") == "tool"
    assert (made / "bin/same").samefile(made / "bin/tool")


ESCAPES: dict[str, tuple[Thing, ...]] = {
    "absolute name": (Thing("/escaped", content=b"x"),),
    "name that climbs": (Thing("../escaped", content=b"x"),),
    "name that climbs later": (Thing("a/../../escaped", content=b"x"),),
    "link to the outside": (Thing("door", LINK, target="/tmp"),),
    "link that climbs": (Thing("door", LINK, target="../.."),),
    "link that climbs after a folder": (Thing("a/door", LINK, target="b/../../.."),),
    "link without a target": (Thing("door", LINK, target=""),),
    "file through a link": (Thing("a/b", FOLDER), Thing("door", LINK, target="a"), Thing("door/x", content=b"x")),
    "folder through a link": (Thing("a", FOLDER), Thing("door", LINK, target="a"), Thing("door/x", FOLDER)),
    "link through a link": (Thing("a", FOLDER), Thing("d", LINK, target="a"), Thing("d/e", LINK, target="..")),
    "folder in the place of a link": (Thing("a", FOLDER), Thing("door", LINK, target="a"), Thing("door", FOLDER)),
    "link in the place of a folder": (Thing("a", FOLDER), Thing("b", FOLDER), Thing("a", LINK, target="b")),
    "file in the place of a folder": (Thing("a/b", content=b"x"), Thing("a", content=b"x")),
    "file below a file": (Thing("a", content=b"x"), Thing("a/b", content=b"x")),
    "hard link to the outside": (Thing("passwords", HARD, target="/etc/passwd"),),
    "hard link that climbs": (Thing("x", HARD, target="../archive-0"),),
    "hard link to a link": (Thing("door", LINK, target="a"), Thing("x", HARD, target="door")),
    "hard link to nothing": (Thing("x", HARD, target="nothing"),),
    "character device": (Thing("null", tarfile.CHRTYPE),),
    "block device": (Thing("disk", tarfile.BLKTYPE),),
    "named pipe": (Thing("pipe", tarfile.FIFOTYPE),),
    "line break in a name": (Thing("a\nb", content=b"x"),),
}


@pytest.mark.parametrize("case", ESCAPES)
def test_a_member_that_would_escape_is_refused(case: str, tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path, tar_of(*ESCAPES[case]))
    assert caught.value.code == "archive-unsafe"
    assert caught.value.exit_code == 3
    outside = {name for name in everything(tmp_path) if not name.startswith("inner/artifact")}
    assert outside == {"archive-0", "inner"}


@pytest.mark.parametrize("name", ["/escaped", "../escaped", "a/../../escaped"])
def test_a_zip_member_that_would_escape_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="leads out"):
        unpack(tmp_path, zip_of(Thing(name, content=b"x")), kind="zip")
    assert not list(tmp_path.rglob("escaped"))


def test_a_zipped_link_to_the_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="the link leads out"):
        unpack(tmp_path, zip_of(Thing("door", LINK, content=b"/etc")), kind="zip")


NAMES = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=4).map("/".join)
THINGS = st.builds(
    Thing,
    name=NAMES,
    kind=st.sampled_from([tarfile.REGTYPE, LINK, HARD, FOLDER, tarfile.FIFOTYPE]),
    content=st.just(b""),
    target=NAMES,
    mode=st.integers(0, 0o7777),
)


@settings(max_examples=400, deadline=None)
@given(things=st.lists(THINGS, max_size=8))
def test_no_archive_whatever_reaches_outside(things: list[Thing], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    try:
        made = unpack(folder, tar_of(*things))
    except AgentError:
        made = folder / "inner/artifact"
    for path in made.rglob("*"):
        assert Path(os.path.realpath(path)).is_relative_to(made.resolve())
        if not path.is_symlink():
            assert stat.S_IMODE(path.lstat().st_mode) & 0o7022 == 0
    assert {name for name in everything(folder) if "artifact" not in name} == {"archive-0", "inner"}
    shutil.rmtree(folder)


def test_later_archives_replace_files_of_earlier_ones(tmp_path: Path) -> None:
    first = tar_of(Thing("a/x", content=b"old"), Thing("a/y", HARD, target="a/x"), Thing("a/z", LINK, target="x"))
    second = tar_of(Thing("a/x", content=b"new"), Thing("a/z", content=b"a file now"))
    made = unpack(tmp_path, first, second)
    assert (made / "a/x").read_bytes() == b"new"
    assert (made / "a/y").read_bytes() == b"old"
    assert (made / "a/z").read_bytes() == b"a file now"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_every_tar_compression_is_understood(compress: object, tmp_path: Path) -> None:
    assert callable(compress)
    made = unpack(tmp_path, compress(tar_of(Thing("tool-1.0/tool", content=b"x", mode=0o755))), strip=1)
    assert everything(made) == {"tool"}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_truncated_archive_is_refused(compress: object, tmp_path: Path) -> None:
    assert callable(compress)
    whole: bytes = compress(tar_of(Thing("tool", content=os.urandom(100_000))))
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path, whole[: len(whole) // 2])
    assert caught.value.code == "archive-unreadable"


def test_a_damaged_zip_member_is_refused(tmp_path: Path) -> None:
    content = zip_of(Thing("tool", content=b"0123456789" * 10)).replace(b"0123456789", b"0123456780", 1)
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path, content, kind="zip")
    assert caught.value.code == "archive-unreadable"


def test_only_the_wanted_paths_are_kept(tmp_path: Path) -> None:
    content = tar_of(Thing("usr/bin/tool"), Thing("usr/bin/toolbox"), Thing("usr/lib/a/one.so"), Thing("usr/doc/x"))
    made = unpack(tmp_path, content, only=("usr/bin/tool", "usr/lib"))
    assert everything(made) == {
        "usr", "usr/bin", "usr/bin/tool", "usr/lib", "usr/lib/a", "usr/lib/a/one.so",
    }  # fmt: skip


def test_a_plain_file_becomes_a_program(tmp_path: Path) -> None:
    made = unpack(tmp_path, b"program", kind="file", path="bin/tool")
    assert (made / "bin/tool").read_bytes() == b"program"
    assert os.access(made / "bin/tool", os.X_OK)


def test_a_zipped_program_without_the_executable_bit_becomes_one(tmp_path: Path) -> None:
    made = unpack(tmp_path, zip_of(Thing("tool", content=b"\x7fELF..."), Thing("text", content=b"x")), kind="zip")
    assert stat.S_IMODE((made / "tool").stat().st_mode) == 0o755
    assert (made / "tool").read_bytes() == b"\x7fELF..."
    assert stat.S_IMODE((made / "text").stat().st_mode) == 0o644


def package(folder: Path, compression: str = "xz") -> bytes:
    """Build a real package with a link that is absolute."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: thing\n"
    )
    (tree / "usr/share/thing").mkdir(parents=True)
    (tree / "usr/share/thing/data").write_bytes(random.Random(1).randbytes(300_000) + bytes(300_000))
    (tree / "usr/share/thing/absolute").symlink_to("/usr/share/thing/data")
    settings = ["--root-owner-group", f"-Z{compression}"]
    subprocess.run(["dpkg-deb", *settings, "--build", tree, folder / "thing.deb"], check=True)
    return (folder / "thing.deb").read_bytes()


@pytest.mark.parametrize("compression", ["xz", "zstd", "gzip", "none"])
def test_a_package_is_unpacked_with_its_absolute_links_turned_inwards(tmp_path: Path, compression: str) -> None:
    made = unpack(tmp_path / "work", package(tmp_path, compression), kind="deb")
    assert os.readlink(made / "usr/share/thing/absolute") == "../../../usr/share/thing/data"
    assert (made / "usr/share/thing/absolute").read_bytes() == (tmp_path / "tree/usr/share/thing/data").read_bytes()


def test_two_streams_of_xz_in_a_package_are_one_after_the_other(tmp_path: Path) -> None:
    files = tar_of(Thing("a", content=b"a" * 5000), Thing("b", content=b"b" * 5000))
    data = lzma.compress(files[:6000]) + lzma.compress(files[6000:])
    made = unpack(tmp_path, packed(data), kind="deb")
    assert (made / "b").read_bytes() == b"b" * 5000


def packed(data: bytes, name: bytes = b"data.tar.xz", size: int | None = None) -> bytes:
    """Return an archive of ar with these files."""

    def member(title: bytes, content: bytes, length: int) -> bytes:
        return b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (title, 0, 0, 0, 0o100644, length) + content + b"\n" * (length % 2)

    given = len(data) if size is None else size
    return b"!<arch>\n" + member(b"debian-binary", b"2.0\n", 4) + member(name, data, given)


def test_what_is_not_a_package_is_refused(tmp_path: Path) -> None:
    whole, files = package(tmp_path), tar_of(Thing("a"))
    cut = whole.index(b"data.tar.xz") + 2000
    broken = bytearray(lzma.compress(tar_of(Thing("a", content=bytes(20_000)))))
    broken[len(broken) // 2] ^= 255
    refused = {
        "it is no archive of ar": b"not a package",
        "one of its members has no header": b"!<arch>\n" + b"x" * 60,
        "it does not begin as a Debian package does": b"!<arch>\n" + packed(b"")[72:],
        "it ends in the middle of its files": whole[:cut],
        "LZMAError": packed(bytes(broken)),
        "LZMAError: Input format": packed(lzma.compress(files) + b"more of it, and more"),
        "there is more behind the end of its files": packed(lzma.compress(files + bytes(4 << 20))),
        "dpkg-deb ended with": packed(b"nothing of the kind", b"data.tar.zst"),
    }
    for number, (reason, content) in enumerate(refused.items()):
        with pytest.raises(AgentError, match="could not be read") as caught:
            unpack(tmp_path / str(number), content, kind="deb")
        assert reason in caught.value.where
    with pytest.raises(AgentError, match="could not be read"):
        unpack(tmp_path / "longer", packed(lzma.compress(files), size=1 << 40), kind="deb")


def test_limits_hold_for_members_and_for_bytes(tmp_path: Path) -> None:
    content = tar_of(Thing("a", content=b"12345"), Thing("b", content=b"67890"))
    for limits in (Limits(members=1), Limits(size=9)):
        with pytest.raises(AgentError) as caught:
            unpack(tmp_path / str(limits.members), content, limits=limits)
        assert caught.value.code == "artifact-too-big"


def test_a_digest_that_differs_is_named_with_the_expected_one_and_nothing_is_written(tmp_path: Path) -> None:
    good = tar_of(Thing("a", content=b"good"))
    evil = tmp_path / "evil"
    evil.write_bytes(tar_of(Thing("a", content=b"evil")))
    locked = hashlib.sha256(good).hexdigest()
    entry = ArtifactEntry("thing", "1", (ArchiveEntry("thing.tar", locked, len(good), "tar"),))
    with pytest.raises(AgentError) as caught:
        unpack_artifact(entry, {locked: str(evil)}, str(tmp_path / "artifact"))
    assert caught.value.code == "archive-digest-mismatch"
    assert locked in caught.value.where
    assert hashlib.sha256(evil.read_bytes()).hexdigest() in caught.value.where
    assert not (tmp_path / "artifact").exists()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    unpack(tmp_path, tar_of(Thing("a")))
    with pytest.raises(AgentError) as caught:
        unpack(tmp_path, tar_of(Thing("a")))
    assert caught.value.code == "artifact-folder-not-empty"


def test_the_identity_tells_apart_how_an_archive_is_unpacked() -> None:
    plain = ArchiveEntry("thing.tar", "d" * 64, 1, "tar")
    part = ArchiveEntry("thing.tar", "d" * 64, 1, "tar", only=("usr",))
    assert ArtifactEntry("a", "1", (plain,)).identity == ArtifactEntry("b", "2", (plain,)).identity
    assert ArtifactEntry("a", "1", (plain,)).identity != ArtifactEntry("a", "1", (part,)).identity
