from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from obstack.agent.journal_bridge import priority_of
from obstack.agent.journal_export import boot_identity, entry
from obstack.agent.log_files import LINE_LIMIT, Reader
from obstack.agent.logs import Journal, Query, journal_arguments, journal_of, parse_line, read_logs
from obstack.agent.services import ServiceFailure
from obstack.agent.wire import GateEntry, Manifest


def test_an_entry_is_text_where_it_can_be_and_counted_bytes_where_not() -> None:
    boot = "0" * 32
    text = entry({"MESSAGE": b"hello"}, 5, 6, boot)
    assert (
        text == b"__REALTIME_TIMESTAMP=5\n__MONOTONIC_TIMESTAMP=6\n_BOOT_ID=" + boot.encode() + b"\nMESSAGE=hello\n\n"
    )
    for value in (b"a\nb", b"a\x00b", b"\xff", b"\x1b[31m"):
        assert b"MESSAGE\n" + struct.pack("<Q", len(value)) + value + b"\n\n" in entry({"MESSAGE": value}, 5, 6, boot)


@pytest.mark.parametrize("name", ["message", "A=B", "A\nB", "", "1A", "A" * 65])
def test_a_name_that_the_journal_does_not_allow_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a field name"):
        entry({name: b""}, 5, 6, "0")


def test_the_boot_has_an_identity() -> None:
    assert len(boot_identity()) == 32
    assert int(boot_identity(), 16)


@pytest.mark.parametrize(
    ("line", "priority"),
    [
        (b"level=error msg=x", 3),
        (b'{"level":"warn","msg":"x"}', 4),
        (b"ts=1 caller=a.go:1 level=debug", 7),
        (b"2026/01/01 00:00:00 [crit] 1#1: x", 2),
        (b"2026/01/01 00:00:00 [emerg] 1#1: x", 0),
        (b"[main] level=notice x", 5),
        (b"nothing of the kind", 6),
        (b"level=unheard", 6),
        (b"x" * 600 + b"level=error", 6),
    ],
)
def test_the_priority_is_read_from_the_beginning_of_the_line(line: bytes, priority: int) -> None:
    assert priority_of(line) == priority


LINE = '{"MESSAGE": "before it broke", "PRIORITY": "6", "__REALTIME_TIMESTAMP": "1800000000000000"}'


@pytest.mark.parametrize("shipped", [True, False])
@pytest.mark.parametrize("follow", [True, False])
def test_what_journalctl_says_of_a_journal_that_it_cannot_read_to_its_end_is_told(shipped: bool, follow: bool) -> None:
    complaints = "i=0; while [ $i -lt 3000 ]; do echo The file is damaged, it says >&2; i=$((i + 1)); done"
    journal = Journal(("/bin/sh", "-c", f"echo '{LINE}'; {complaints}; exit 1"), (), "/nowhere", shipped)
    seen = []
    with pytest.raises(ServiceFailure, match="journalctl ended with 1") as caught:
        for event in read_logs(journal, Query(["web"], follow=follow), lambda: False):
            seen.append(event.message)
    assert seen == ["before it broke"]
    assert caught.value.detail.startswith("The file is damaged, it says")


def test_a_journal_that_was_read_far_enough_is_not_read_to_its_end() -> None:
    journal = Journal(("/bin/sh", "-c", f"echo '{LINE}'; sleep 60; exit 1"), (), "/nowhere", True)
    assert [event.message for event in read_logs(journal, Query(["web"], lines=1), lambda: False)] == [
        "before it broke"
    ]


def test_a_reader_goes_on_where_it_committed(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\ntwo\n")
    reader = Reader(str(tmp_path), str(tmp_path / "positions"))
    assert [line.text for line in reader.read()] == [b"one", b"two"]
    assert reader.read() == []
    reader.rewind()
    assert len(reader.read()) == 2
    reader.commit()
    (tmp_path / "a.log").write_bytes(b"one\ntwo\nthree\n")
    again = Reader(str(tmp_path), str(tmp_path / "positions"))
    assert [(line.name, line.text) for line in again.read()] == [("a", b"three")]


def test_an_older_piece_that_is_too_long_for_one_batch_is_finished_first(tmp_path: Path) -> None:
    old = b"".join(b"%07d\n" % number for number in range(400_000))
    (tmp_path / "a.log.1").write_bytes(old)
    (tmp_path / "a.log").write_bytes(b"new\n")
    reader = Reader(str(tmp_path), str(tmp_path / "positions"))
    texts: list[bytes] = []
    for _ in range(10):
        lines = reader.read()
        texts += [line.text for line in lines]
        assert sum(len(line.text) for line in lines) <= 1024 * 1024 + LINE_LIMIT
        reader.commit()
    assert texts == [*old.split(b"\n")[:-1], b"new"]


def test_spoiled_positions_mean_reading_again(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\n")
    (tmp_path / "positions").write_bytes(b'{"a": 7')
    assert len(Reader(str(tmp_path), str(tmp_path / "positions")).read()) == 1


def test_an_unfinished_line_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\ntw")
    reader = Reader(str(tmp_path), str(tmp_path / "positions"))
    assert [line.text for line in reader.read()] == [b"one"]
    (tmp_path / "a.log").write_bytes(b"one\ntwo\n")
    assert [line.text for line in reader.read()] == [b"two"]


def test_a_query_becomes_the_arguments_of_journalctl() -> None:
    system = journal_arguments(Journal(), Query(["nginx"], lines=5, since=10.5, follow=True))
    assert system == [
        *("journalctl", "--output=json", "--all", "--no-pager", "--quiet"),
        *("--unit=nginx.service", "--lines=5", "--since=@10", "--follow"),
    ]
    private = journal_arguments(Journal(("/j",), place="/d"), Query(["a", "b"], grep="x"))
    assert private[-4:] == ["--directory=/d", "--lines=all", "OBSERVABILITY_UNIT=a", "OBSERVABILITY_UNIT=b"]


def test_the_way_to_the_journal_is_the_gates_own() -> None:
    params = {"journalctl": ["/a/journalctl"], "environment": {"B": "c"}, "journal": "/d", "endpoint": ""}
    manifest = Manifest("mon-1", "observability", "supervisor", gates=(GateEntry("g", "log-line", "", params),))
    assert journal_of(manifest) == Journal(("/a/journalctl",), (("B", "c"),), "/d")
    assert journal_of(Manifest("mon-1", "observability", "systemd")) == Journal()


def test_a_line_of_the_journal_becomes_an_event() -> None:
    fields = {
        "MESSAGE": [104, 255],
        "_SYSTEMD_UNIT": "nginx.service",
        "PRIORITY": "3",
        "__REALTIME_TIMESTAMP": "1500000",
    }
    event = parse_line(json.dumps(fields).encode())
    assert event is not None
    assert (event.step, event.message) == ("log", "h\ufffd")
    assert event.data == {"unit": "nginx", "identifier": "", "priority": 3, "time": 1.5}
    assert parse_line(b"-- No entries --") is None
    assert parse_line(b"[]") is None


@pytest.mark.parametrize(("written", "read"), [("", 6), ("high", 6), ("-1", 6), ("9", 6), ([195, 40], 6), ("3", 3)])
def test_a_priority_that_is_none_counts_as_information(written: object, read: int) -> None:
    event = parse_line(json.dumps({"MESSAGE": "x", "PRIORITY": written}).encode())
    assert event is not None
    assert event.data["priority"] == read
