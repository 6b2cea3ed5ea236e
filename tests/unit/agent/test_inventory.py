"""What is in a folder, byte by byte: whatever is done to a file, the inventory is another one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from obstack.agent.inventory import take_inventory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/program").write_bytes(b"program")
    (tmp_path / "usr/bin/program").chmod(0o755)
    (tmp_path / "usr/link").symlink_to("bin/program")
    return tmp_path


def test_every_path_is_told_with_what_it_is(folder: Path) -> None:
    found = take_inventory(str(folder))
    assert sorted(found) == ["usr", "usr/bin", "usr/bin/program", "usr/link"]
    assert found["usr/link"] == "link bin/program"
    assert found["usr/bin/program"].startswith("file 0755 ")


def test_an_absent_folder_is_empty(tmp_path: Path) -> None:
    assert take_inventory(str(tmp_path / "nothing")) == {}


def same_size_and_time(folder: Path) -> None:
    program = folder / "usr/bin/program"
    times = program.stat()
    program.write_bytes(b"tampere")
    os.utime(program, ns=(times.st_atime_ns, times.st_mtime_ns))


def pipe(folder: Path) -> None:
    (folder / "usr/bin/program").unlink()
    os.mkfifo(folder / "usr/bin/program")


def another_link(folder: Path) -> None:
    (folder / "usr/link").unlink()
    (folder / "usr/link").symlink_to("/etc/passwd")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": same_size_and_time,
    "mode": lambda folder: (folder / "usr/bin/program").chmod(0o777),
    "owner": lambda folder: os.chown(folder / "usr/bin/program", 12345, -1),
    "removed": lambda folder: (folder / "usr/bin/program").unlink(),
    "added": lambda folder: (folder / "usr/bin/more").write_bytes(b""),
    "pipe": pipe,
    "another link": another_link,
}


@pytest.mark.security
@pytest.mark.parametrize("change", [name for name in CHANGES if name != "owner" or os.geteuid() == 0])
def test_nothing_can_be_changed_unseen(folder: Path, change: str) -> None:
    before = take_inventory(str(folder))
    CHANGES[change](folder)
    assert take_inventory(str(folder)) != before


def test_a_link_is_told_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/secret").write_text("secret")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/way").symlink_to("../out")
    assert take_inventory(str(tmp_path / "in")) == {"way": "link ../out"}
