"""A manifest that could reach outside is refused before anything is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.agent import paths, wire
from obstack.agent.faults import AgentError

pytestmark = pytest.mark.security

GOOD = wire.Manifest(
    "web-1",
    "observability",
    "systemd",
    files=(
        wire.FileEntry("etc/nginx/nginx.conf", "a" * 64, 1, 0o644),
        wire.FileEntry("units/nginx.service", "b" * 64, 1, 0o644),
    ),
    artifacts=(wire.ArtifactEntry("nginx", "1", (wire.ArchiveEntry("nginx", "c" * 64, 1, "deb"),)),),
    directories=(wire.DirectoryEntry("/var/lib/nginx", 0o750),),
    links=(wire.LinkEntry("/etc/nginx", "etc/nginx"),),
    users=(wire.UserEntry("nginx"),),
    units=(wire.UnitEntry("nginx", "units/nginx.service", inputs=(wire.InputEntry("etc/nginx/", "reload"),)),),
)

BAD_PATHS = (
    "",
    "/etc/passwd",
    "etc/../../x",
    "etc/nginx/",
    "etc//x",
    "./etc/x",
    "etc/a\nb",
    "etc/a\0b",
    "manifest.json",
)


def problems(manifest: wire.Manifest, root: str = "") -> str:
    with pytest.raises(AgentError) as caught:
        paths.validate(manifest, root)
    assert (caught.value.exit_code, caught.value.code) == (2, "manifest-refused")
    return str(caught.value.detail)


def test_a_good_manifest_passes() -> None:
    paths.validate(GOOD, "")


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_file_stays_in_the_tree(path: str) -> None:
    assert "not a plain path" in problems(replace(GOOD, files=(*GOOD.files, replace(GOOD.files[0], path=path))))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "etc/nginx",
        "/",
        "/etc",
        "/etc/../root/x",
        "/usr/bin/x",
        "/root/x",
        "/etc/x\n",
        "/etc//x",
        "/var/lib/observability",
    ],
)
def test_links_and_directories_stay_in_the_folders_that_are_allowed(path: str) -> None:
    assert "outside" in problems(replace(GOOD, links=(wire.LinkEntry(path, "etc/nginx"),)))
    assert "outside" in problems(replace(GOOD, directories=(wire.DirectoryEntry(path, 0o755),)))


def test_below_a_root_only_the_root_is_allowed() -> None:
    root = "/home/someone/.observability"
    inside = replace(
        GOOD,
        links=(wire.LinkEntry(f"{root}/etc/nginx", "etc/nginx"),),
        directories=(wire.DirectoryEntry(f"{root}/var/lib/nginx", 0o750),),
    )
    paths.validate(inside, root)
    assert "outside" in problems(GOOD, root)
    assert "outside" in problems(inside, "")


@pytest.mark.parametrize(
    "change",
    [
        {"files": (replace(GOOD.files[0], digest="a"), *GOOD.files)},
        {"files": (replace(GOOD.files[0], mode=0o4755), GOOD.files[1])},
        {"files": (*GOOD.files, GOOD.files[0])},
        {"files": (*GOOD.files, replace(GOOD.files[0], path="etc/nginx"))},
        {"files": (replace(GOOD.files[0], owner="root:root"), GOOD.files[1])},
        {"links": (wire.LinkEntry("/etc/nginx", "../../etc"),)},
        {"links": (wire.LinkEntry("/etc/nginx", "artifacts/nginx"),)},
        {"manager": "openrc"},
        {"users": (wire.UserEntry("-rf"),)},
        {"artifacts": (wire.ArtifactEntry("../x", "1", ()),)},
        {"artifacts": (wire.ArtifactEntry("x", "1", (wire.ArchiveEntry("x", "c" * 64, 1, "exe"),)),)},
        {"artifacts": (wire.ArtifactEntry("x", "1", (wire.ArchiveEntry("x", "c" * 64, 1, "file", path="/x"),)),)},
        {"units": (wire.UnitEntry("a/b", "units/nginx.service"),)},
        {"units": (wire.UnitEntry("nginx", "units/other.service"),)},
        {"units": (replace(GOOD.units[0], after=("nobody",)),)},
        {"units": (replace(GOOD.units[0], inputs=(wire.InputEntry("etc/", "explode"),)),)},
        {"units": (replace(GOOD.units[0], state=wire.StateEntry("/root", "one")),)},
        {"units": (GOOD.units[0], GOOD.units[0])},
    ],
)
def test_other_harm_is_refused(change: dict[str, Any]) -> None:
    assert problems(replace(GOOD, **change))


@given(st.text(max_size=40))
def test_no_accepted_path_leaves_its_folder(text: str) -> None:
    if paths.is_plain_relative(text):
        assert not text.startswith("/")
        assert ".." not in text.split("/")
        assert "\n" not in text and "\0" not in text
