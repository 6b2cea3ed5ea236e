"""What central logs stand on: entries of the stream, doubles, and the files of the server."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.agent.journal_entries import place, take_entries
from obstack.agent.journal_export import entry
from obstack.agent.journal_files import SIGNATURE, Limits, last_line, read_limits, trim
from obstack.agent.journal_files import journal_files as files_of
from obstack.agent.logs import Doubles, Journal, Query, hosts_of, journal_arguments, journal_of_host
from obstack.agent.wire import GateEntry, Manifest

CURSOR = "s=00ff;i=1a;b=0;m=2;t=3;x=4"
DAY = 86_400


def exported(message: bytes, cursor: str = CURSOR, **fields: bytes) -> bytes:
    return b"__CURSOR=%s\n" % cursor.encode() + entry({"MESSAGE": message, **fields}, 5, 6, "0" * 32)


def test_an_entry_is_marked_with_its_place_and_keeps_its_fields() -> None:
    (found,), rest = take_entries(exported(b"hello") + b"__CURSOR=half")
    assert rest == b"__CURSOR=half"
    assert found.cursor == CURSOR
    assert found.body == entry({"MESSAGE": b"hello", "OBSERVABILITY_ENTRY": b"00ff:1a"}, 5, 6, "0" * 32)


def test_a_mark_that_a_program_wrote_itself_and_numbers_of_newer_journals_are_left_out() -> None:
    forged = exported(b"x", OBSERVABILITY_ENTRY=b"00ff:1").replace(b"__REAL", b"__SEQNUM=9\n__SEQNUM_ID=ab\n__REAL")
    forged = forged[:-1] + b"OBSERVABILITY_ENTRY\n" + struct.pack("<Q", 3) + b"a\nb\n\n"
    (found,), _ = take_entries(forged)
    assert found.body.count(b"OBSERVABILITY_ENTRY") == 1
    assert b"OBSERVABILITY_ENTRY=00ff:1a\n" in found.body
    assert b"SEQNUM" not in found.body


@given(st.lists(st.binary(max_size=80), max_size=6), st.integers(1, 40))
def test_a_stream_may_come_in_pieces_of_any_size(messages: list[bytes], size: int) -> None:
    stream = b"".join(exported(message, f"s=a;i={number:x};") for number, message in enumerate(messages))
    found, rest = [], b""
    for start in range(0, len(stream), size):
        entries, rest = take_entries(rest + stream[start : start + size])
        found += entries
    assert rest == b""
    assert [place(each.cursor)[1] for each in found] == list(range(len(messages)))
    assert b"".join(each.body for each in found) == b"".join(
        entry({"MESSAGE": message, "OBSERVABILITY_ENTRY": b"a:%x" % number}, 5, 6, "0" * 32)
        for number, message in enumerate(messages)
    )


def test_what_is_no_entry_is_not_sent() -> None:
    with pytest.raises(ValueError, match="without a cursor"):
        take_entries(b"MESSAGE=x\n\n")
    with pytest.raises(ValueError, match="is no cursor"):
        take_entries(b"__CURSOR=nonsense\nMESSAGE=x\n\n")
    assert take_entries(b"\n\n") == ([], b"")


def test_a_line_is_a_double_only_when_all_of_it_is_the_same() -> None:
    doubles = Doubles()
    line = {"MESSAGE": "x", "OBSERVABILITY_ENTRY": "a:1", "__CURSOR": "one"}
    assert not doubles.holds(line)
    assert doubles.holds({**line, "__CURSOR": "two", "__SEQNUM": "7"})
    assert not doubles.holds({**line, "OBSERVABILITY_ENTRY": "a:2"})
    assert not doubles.holds({**line, "MESSAGE": "another text under the mark of the first"})


def test_a_hosts_journal_is_read_from_its_end_by_units_of_the_host() -> None:
    params = {
        "journalctl": ["/j"],
        "environment": {"A": "b"},
        "folder": "/var/log/observability",
        "hosts": ["db-1", "web-1"],
    }
    manifest = Manifest("mon-1", "observability", "systemd", gates=(GateEntry("g", "journal-received", "", params),))
    assert hosts_of(manifest) == ("db-1", "web-1")
    assert hosts_of(Manifest("mon-1", "observability", "systemd")) == ()
    journal = journal_of_host(manifest, "web-1")
    assert journal == Journal(("/j",), (("A", "b"),), "/var/log/observability/web-1", True)
    argv = journal_arguments(journal, Query(["nginx"], since=1, until=2))
    assert argv[-5:] == [f"--directory={journal.place}", "--unit=nginx", "--reverse", "--since=@1", "--until=@2"]
    assert "--lines=100" in journal_arguments(journal, Query([], follow=True))
    with pytest.raises(ValueError, match="not taken here"):
        journal_of_host(manifest, "../web-1")


def make_file(path: Path, first: float, last: float, size: int = 4096) -> Path:
    path.parent.mkdir(exist_ok=True)
    header = bytearray(208)
    header[:8] = SIGNATURE
    struct.pack_into("<QQ", header, 184, int(first * 1e6), int(last * 1e6))
    path.write_bytes(bytes(header) + b"\xff" * (size - 208))
    return path


def limits(folder: Path, maximum_bytes: int = 1 << 30, age_s: int = 10 * DAY) -> Limits:
    return Limits({}, str(folder), maximum_bytes, age_s)


def test_what_is_too_old_goes_and_the_rest_stays(tmp_path: Path) -> None:
    now = 100.0 * DAY
    old = make_file(tmp_path / "web-1/remote@1.journal", now - 30 * DAY, now - 11 * DAY)
    gone = make_file(tmp_path / "removed-host/remote@1.journal", now - 30 * DAY, now - 11 * DAY)
    kept = make_file(tmp_path / "web-1/remote@2.journal", now - 20 * DAY, now - 9 * DAY)
    active = make_file(tmp_path / "web-1/remote.journal", now - 60, now)
    assert sorted(trim(limits(tmp_path), now)) == sorted([str(old), str(gone)])
    assert kept.exists()
    assert active.exists()


def test_of_too_much_the_oldest_goes_whoevers_it_is(tmp_path: Path) -> None:
    now = 100.0 * DAY
    size = 64 * 1024
    for number in range(4):
        make_file(tmp_path / f"web-{number % 2}/remote@{number}.journal", now - 90, now - 50 + number, size)
    removed = trim(limits(tmp_path, 2 * size), now)
    assert [Path(path).name for path in removed] == ["remote@0.journal", "remote@1.journal"]


def test_a_file_that_is_written_is_closed_when_it_is_old_or_large(tmp_path: Path) -> None:
    now = 100.0 * DAY
    make_file(tmp_path / "web-1/remote.journal", now - 2 * DAY, now)
    make_file(tmp_path / "web-2/remote.journal", now - 60, now, 1 << 20)
    make_file(tmp_path / "web-3/remote.journal", now - 60, now)
    assert trim(limits(tmp_path, 4 << 20), now) == []
    names = {folder.name: [file.name for file in folder.iterdir()] for folder in tmp_path.iterdir()}
    assert names.pop("web-3") == ["remote.journal"]
    assert all(len(found) == 1 and found[0].startswith("remote@") for found in names.values())


def test_the_last_line_is_told_by_the_files_and_a_file_without_lines_has_none(tmp_path: Path) -> None:
    assert last_line(str(tmp_path / "absent")) is None
    make_file(tmp_path / "web-1/remote.journal", 0, 0)
    assert last_line(str(tmp_path / "web-1")) is None
    make_file(tmp_path / "web-1/remote@1.journal", 5, 7.5)
    (tmp_path / "web-1/notes.txt").write_text("none of ours")
    assert last_line(str(tmp_path / "web-1")) == 7.5
    assert len(list(files_of(str(tmp_path / "web-1")))) == 2


def test_the_limits_are_what_rendering_wrote(tmp_path: Path) -> None:
    data = {
        "journals": {"web-1": {"folder": "/j/web-1", "socket": "/s/web-1"}},
        "all": "/j",
        "maximum_bytes": 5,
        "maximum_age_s": 6,
    }
    (tmp_path / "trim.json").write_text(json.dumps(data))
    assert read_limits(str(tmp_path / "trim.json")) == Limits({"/j/web-1": "/s/web-1"}, "/j", 5, 6)


def test_a_receiver_that_does_not_answer_costs_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0 * DAY
    active = make_file(tmp_path / "j/remote.journal", now - 9 * DAY, now)
    silent = Limits({str(active.parent): str(tmp_path / "no-socket")}, str(tmp_path), 1 << 30, 10 * DAY)
    assert trim(silent, now) == []
    assert "could not be told" in capsys.readouterr().err
    assert len(list(active.parent.iterdir())) == 1
