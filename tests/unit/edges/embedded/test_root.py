"""The private root is only ever written and removed when it is ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obstack.edges.embedded.root import MARKER, PrivateRoot
from obstack.errors import LockHeld, UsageError


def test_a_new_root_is_closed_to_others_and_marked(tmp_path: Path) -> None:
    root = PrivateRoot(tmp_path / "deep" / "root")

    root.prepare()
    root.prepare()

    assert root.exists
    assert root.path.stat().st_mode & 0o777 == 0o700


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    PrivateRoot(tmp_path).prepare()

    assert (tmp_path / MARKER).is_file()


@pytest.mark.parametrize("name", ["with blank", "quote'", "semi;colon", "percent%", "line\nfeed", "dollar$"])
def test_a_path_that_could_escape_from_configuration_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        PrivateRoot(tmp_path / name).prepare()

    assert caught.value.code == "root-path-unsafe"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    root = PrivateRoot(tmp_path)

    for action in (root.prepare, root.purge):
        with pytest.raises(UsageError) as caught:
            action()
        assert caught.value.code == "root-foreign"

    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError) as caught:
        PrivateRoot(tmp_path / "file" / "root").prepare()

    assert caught.value.code == "root-unusable"


def test_purge_removes_read_only_folders_and_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    root = PrivateRoot(tmp_path / "root")
    root.prepare()
    (root.path / "link").symlink_to(outside)
    store = root.path / "var" / "store"
    store.mkdir(parents=True)
    (store / "program").write_text("")
    (store / "link").symlink_to(outside)
    store.chmod(0o555)

    root.purge()

    assert not root.path.exists()
    assert (outside / "kept").exists()


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    root = PrivateRoot(tmp_path)
    root.prepare()

    with root.locked(), pytest.raises(LockHeld) as caught, root.locked():
        pass

    assert str(os.getpid()) in caught.value.where
    with root.locked():
        root.purge()
    assert not root.path.exists()
