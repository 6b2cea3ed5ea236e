"""Data that are not where a fresh setup puts them: behind a link, on a disk of their own, or gone."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from crash.world import World, mounted


def test_data_behind_a_link_are_exchanged_on_the_disk_that_it_leads_to(small: World) -> None:
    disk = small.root / "disk"
    (disk / "alpha").mkdir(parents=True)
    place = Path(small.data("alpha"))
    place.parent.mkdir(parents=True)
    place.symlink_to(disk / "alpha")
    old = small.generation("one", version=1, data_format="one")
    small.apply(old)
    small.apply(small.generation("one", version=2, data_format="two"))
    assert small.ask("rollback", to=old.identity).fault is None
    small.assert_whole(old)
    assert place.readlink() == disk / "alpha"
    assert (place / "log").read_text() == "1\n1\n"
    assert sorted(path.name.split(".")[0] for path in disk.iterdir()) == ["alpha", "alpha"]


def test_a_format_that_changes_on_a_mount_point_is_refused_for_there_is_no_way_back(small: World) -> None:
    place = Path(small.data("alpha"))
    place.mkdir(parents=True)
    if not mounted(place, "1M"):
        pytest.fail("this test needs root to mount a small file system")
    try:
        old = small.generation("one", version=1, data_format="one")
        small.apply(old)
        fault = small.ask("apply", small.generation("one", version=2, data_format="two")).fault
        assert fault is not None and (fault.exit_code, fault.code) == (3, "data-on-mount")
        small.assert_whole(old)
    finally:
        small.ask("uninstall", purge=False)
        subprocess.run(["umount", str(place)], check=True)


def test_a_purge_takes_what_a_restore_has_put_aside_and_leaves_what_others_made(small: World) -> None:
    old = small.generation("one", version=1, data_format="one")
    small.apply(old)
    small.apply(small.generation("one", version=2, data_format="two"))
    assert small.ask("rollback", to=old.identity).fault is None
    beta, elsewhere = Path(small.data("beta")), small.root / "elsewhere"
    beta.rename(elsewhere)
    beta.symlink_to(elsewhere)
    assert small.ask("uninstall", purge=True).fault is None
    assert [path.name for path in (small.root / "var/lib").iterdir()] == ["beta"]
    assert (elsewhere / "log").is_file()


def test_data_that_are_gone_when_their_format_changes_do_not_spoil_the_way_back(small: World) -> None:
    old = small.generation("one", version=1, data_format="one")
    small.apply(old)
    shutil.rmtree(small.data("alpha"))
    reply = small.ask("apply", small.generation("one", version=2, data_format="two", gate="red"))
    assert reply.outcome == "rolled-back"
    small.assert_whole(old)


def test_a_copy_keeps_the_modes_and_times_of_folders(small: World) -> None:
    old = small.generation("one", version=1, data_format="one")
    small.apply(old)
    inner = Path(small.data("alpha")) / "inner"
    inner.mkdir(mode=0o710)
    (inner / "file").write_text("x")
    os.utime(inner, (1_000_000_000, 1_000_000_000))
    small.apply(small.generation("one", version=2, data_format="two"))
    (copy,) = (small.state / "snapshots").iterdir()
    status = (copy / "data/inner").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o710, 1_000_000_000)
