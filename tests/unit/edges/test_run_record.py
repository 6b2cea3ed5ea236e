"""What is remembered of a run survives the run, and a torn end of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from obstack.edges.run_record import RENEWAL, FileRunRecord
from obstack.errors import ChangeFailed
from obstack.plan.fleet import Record

DESIRED = {"web-1": "a" * 64, "web-2": "b" * 64, "mon-1": "c" * 64}


@pytest.fixture
def record(tmp_path: Path) -> FileRunRecord:
    return FileRunRecord(tmp_path)


def test_a_run_is_read_back_with_what_is_done(record: FileRunRecord) -> None:
    assert record.read() is None
    record.begin(DESIRED, who="a test", now=1_800_000_000.0)
    record.note("web-1", "committed", done=True)
    record.note("web-2", "rolled-back", done=False)
    assert record.read() == Record(DESIRED, frozenset({"web-1"}))


def test_a_new_run_forgets_the_one_before(record: FileRunRecord) -> None:
    record.begin(DESIRED, who="a test", now=1.0)
    record.note("web-1", "committed", done=True)
    record.begin({"web-2": "d" * 64}, who="a test", now=2.0)
    assert record.read() == Record({"web-2": "d" * 64}, frozenset())


def test_a_renewal_leaves_the_run_before_to_be_gone_on_with(record: FileRunRecord, tmp_path: Path) -> None:
    record.begin(DESIRED, who="a test", now=1.0)
    record.note("web-1", "committed", done=True)
    renewal = FileRunRecord(tmp_path, RENEWAL)
    renewal.begin({"web-2": "d" * 64}, who="the timer", now=2.0)
    renewal.note("web-2", "committed", done=True)
    assert record.read() == Record(DESIRED, frozenset({"web-1"}))
    assert renewal.read() == Record({"web-2": "d" * 64}, frozenset({"web-2"}))


def test_a_node_that_was_changed_by_itself_is_not_done_any_more(record: FileRunRecord, tmp_path: Path) -> None:
    record.forget("web-1")
    assert not list(tmp_path.iterdir())
    record.begin(DESIRED, who="a test", now=1.0)
    for name in DESIRED:
        record.note(name, "committed", done=True)
    record.forget("web-1")
    assert record.read() == Record(DESIRED, frozenset({"web-2", "mon-1"}))


def test_it_is_private_and_keeps_out_of_version_control(record: FileRunRecord) -> None:
    record.begin(DESIRED, who="a test", now=1.0)
    assert stat.S_IMODE(os.stat(record.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(record.path.parent).st_mode) == 0o700
    assert (record.path.parent / ".gitignore").read_text() == "*\n"


def test_wherever_it_is_torn_what_was_noted_before_is_still_known(record: FileRunRecord) -> None:
    record.begin(DESIRED, who="a test", now=1.0)
    record.note("web-1", "committed", done=True)
    whole = record.path.read_bytes()
    record.note("web-2", "committed", done=True)
    longer = record.path.read_bytes()
    for length in range(len(whole), len(longer) - 1):
        record.path.write_bytes(longer[:length])
        assert record.read() in (Record(DESIRED, frozenset({"web-1"})), Record(DESIRED, frozenset({"web-1", "web-2"})))
    record.path.write_bytes(longer[:10])
    assert record.read() is None


@pytest.mark.parametrize(
    "content", [b"", b"[]\n", b'{"version": 2, "desired": {}}\n', b"\xff\xfe\n", b'{"version": 1}\n']
)
def test_what_cannot_be_understood_is_no_record(record: FileRunRecord, content: bytes) -> None:
    record.path.parent.mkdir()
    record.path.write_bytes(content)
    assert record.read() is None


def test_a_run_that_cannot_be_remembered_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / ".fleet").write_text("in the way")
    with pytest.raises(ChangeFailed) as caught:
        FileRunRecord(tmp_path).begin(DESIRED, who="a test", now=1.0)
    assert caught.value.state == "no machine was touched"
