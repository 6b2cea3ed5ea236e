"""The machine's package sources, in both of their formats, and what is made of them for another suite."""

from __future__ import annotations

from pathlib import Path

from obstack.edges.debian.sources import (
    PackageSource,
    own_suite,
    parse_deb822,
    parse_list,
    read_sources,
    render_sources,
    sources_for,
)

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

STANZAS = """\
# what the installer wrote
Types: deb deb-src
URIs: http://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://mirror.example.org/debian
Suites: trixie
Components: main

Types: deb
URIs: http://vendor.example.org/apt
Suites: bookworm
Components: nginx
"""

LINES = """\
deb http://mirror.example.org/debian bookworm main contrib # the archive
deb [arch=amd64 signed-by=/keys/archive.gpg] http://security.example.org/ bookworm-security main
deb-src http://mirror.example.org/debian bookworm main
# deb http://mirror.example.org/debian trixie main
deb [trusted=yes] http://vendor.example.org/apt ./
"""


def test_stanzas_give_one_source_for_each_suite_that_is_enabled() -> None:
    found = list(parse_deb822(STANZAS))
    assert [(source.uri, source.suite) for source in found] == [
        ("http://mirror.example.org/debian", "bookworm"),
        ("http://mirror.example.org/debian", "bookworm-updates"),
        ("http://mirror.example.org/debian-security", "bookworm-security"),
        ("http://vendor.example.org/apt", "bookworm"),
    ]
    assert found[0].components == ("main", "contrib")
    assert found[0].signed_by == KEYRING
    assert found[2].signed_by.splitlines()[1] == "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def test_lines_give_their_options() -> None:
    found = list(parse_list(LINES))
    assert [(source.uri, source.suite, source.components) for source in found] == [
        ("http://mirror.example.org/debian", "bookworm", ("main", "contrib")),
        ("http://security.example.org", "bookworm-security", ("main",)),
        ("http://vendor.example.org/apt", "./", ()),
    ]
    assert found[1].signed_by == "/keys/archive.gpg"


def test_both_formats_are_read_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(LINES)
    (tmp_path / "sources.list.d/debian.sources").write_text(STANZAS)
    (tmp_path / "sources.list.d/off.sources.disabled").write_text(STANZAS)
    assert len(read_sources(tmp_path)) == 3 + 4
    assert read_sources(tmp_path / "absent") == ()


def test_the_own_suite_is_the_code_name_or_what_the_sources_follow() -> None:
    stable = PackageSource("http://mirror.example.org/debian", "stable", ("main",))
    named = PackageSource("http://mirror.example.org/debian", "bookworm-security", ("main",))
    vendor = PackageSource("http://vendor.example.org/apt", "bookworm", ("nginx",))
    assert own_suite([named, stable], "bookworm") == "bookworm"
    assert own_suite([stable, vendor], "bookworm") == "stable"
    assert own_suite([vendor], "bookworm") == "bookworm"


def test_the_own_suite_keeps_its_pockets_and_leaves_strangers_out() -> None:
    found = sources_for(parse_deb822(STANZAS), "bookworm", "bookworm")
    assert [source.suite for source in found] == ["bookworm", "bookworm-updates", "bookworm-security"]
    assert {source.components for source in found} == {("main",)}


def test_another_suite_is_taken_from_the_same_places() -> None:
    found = sources_for(parse_deb822(STANZAS), "bookworm", "trixie")
    assert [(source.uri.rpartition("/")[2], source.suite) for source in found] == [
        ("debian", "trixie"),
        ("debian", "trixie-updates"),
        ("debian-security", "trixie-security"),
    ]


def test_a_rolling_suite_has_no_pockets() -> None:
    found = sources_for(parse_deb822(STANZAS), "bookworm", "sid")
    assert [(source.uri, source.suite) for source in found] == [("http://mirror.example.org/debian", "sid")]


def test_ubuntu_keeps_its_free_software_in_two_components() -> None:
    lines = "deb http://mirror.example.org/ubuntu noble main restricted universe multiverse\n"
    (found,) = sources_for(parse_list(lines), "noble", "noble")
    assert found.components == ("main", "universe")


def test_rendered_sources_read_back_as_they_were_and_are_never_trusted_blindly() -> None:
    mine = sources_for(parse_deb822(STANZAS), "bookworm", "bookworm")
    text = render_sources(mine, "arm64", Path("/usr/share/keyrings"), foreign=False)
    assert tuple(parse_deb822(text)) == mine
    assert "Trusted" not in text
    assert text.count("Architectures: arm64") == 3


def test_a_foreign_suite_may_be_signed_by_any_key_of_the_archives_keyring(tmp_path: Path) -> None:
    (tmp_path / "debian-archive-keyring.gpg").write_bytes(b"")
    source = PackageSource("http://mirror.example.org/debian", "trixie", ("main",), "/keys/bookworm.gpg")
    foreign = render_sources([source], "amd64", tmp_path, foreign=True)
    assert f"Signed-By: /keys/bookworm.gpg {tmp_path}/debian-archive-keyring.gpg" in foreign
    own = render_sources([source], "amd64", tmp_path, foreign=False)
    assert "Signed-By: /keys/bookworm.gpg\n" in own
