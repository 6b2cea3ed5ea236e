"""The record survives what a power cut can do to a file, and tells what no power cut can do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.agent import record
from obstack.agent.faults import AgentError

ENTRIES = st.lists(
    st.fixed_dictionaries({"step": st.sampled_from(("begin", "acting", "gated")), "text": st.text(max_size=20)}),
    min_size=1,
    max_size=6,
)


@given(ENTRIES, st.data())
def test_any_truncation_leaves_the_entries_before_it(entries: list[dict[str, str]], data: st.DataObject) -> None:
    content = b"".join(record.encode_line(entry) for entry in entries)
    cut = data.draw(st.integers(0, len(content)))
    readable, damaged = record.replay(content[:cut])
    assert list(readable) == entries[: len(readable)]
    assert not damaged
    # A line counts when its last byte before the newline is there: the newline itself carries nothing.
    ends = [len(b"".join(record.encode_line(e) for e in entries[: n + 1])) - 1 for n in range(len(entries))]
    assert len(readable) == sum(end <= cut for end in ends)


@given(ENTRIES, st.data())
def test_a_flipped_byte_is_never_believed(entries: list[dict[str, str]], data: st.DataObject) -> None:
    lines = [record.encode_line(entry) for entry in entries]
    victim = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[victim]) - 2))
    line = bytearray(lines[victim])
    line[place] ^= data.draw(st.integers(1, 127))
    if b"\n" in line[:-1]:
        return  # a split line is two damaged ones; the others are still read
    readable, damaged = record.replay(b"".join([*lines[:victim], bytes(line), *lines[victim + 1 :]]))
    assert list(readable) in ([*entries[:victim], *entries[victim + 1 :]], entries)
    assert damaged == (len(readable) < len(entries) and victim < len(entries) - 1)


def test_runs_are_ordered_by_number_and_not_by_clock(tmp_path: Path) -> None:
    (tmp_path / "000007-20990101T000000Z").mkdir()
    (tmp_path / "notes").mkdir()
    writer = record.begin(str(tmp_path), verb="apply", previous=None, target="b" * 64)
    writer.append("switching", previous=None, target="b" * 64)
    writer.close()
    latest = record.latest(str(tmp_path))
    assert latest is not None and latest.sequence == 8
    assert (latest.outcome, latest.switched) == (None, True)
    assert record.parties(latest) == (None, "b" * 64)


def test_a_torn_line_is_cut_off_before_recovery_goes_on(tmp_path: Path) -> None:
    writer = record.begin(str(tmp_path), verb="apply", previous=None, target="b" * 64)
    os.write(writer.descriptor, b'{"entry":{"step":"switch')
    writer.close()
    latest = record.latest(str(tmp_path))
    assert latest is not None and not latest.switched
    again = record.reopen(latest)
    again.append("abandoned")
    again.close()
    ended = record.latest(str(tmp_path))
    assert ended is not None
    assert [entry["step"] for entry in ended.entries] == ["begin", "abandoned"]
    assert not ended.damaged


def test_a_run_whose_parties_cannot_be_read_needs_a_person(tmp_path: Path) -> None:
    folder = tmp_path / "000001-20260101T000000Z"
    folder.mkdir()
    (folder / "record.jsonl").write_bytes(b"spoilt\n" + record.encode_line({"step": "acting", "unit": "nginx"}))
    latest = record.latest(str(tmp_path))
    assert latest is not None and latest.damaged and latest.switched
    with pytest.raises(AgentError) as caught:
        record.parties(latest)
    assert (caught.value.exit_code, caught.value.code) == (4, "record-damaged")


def test_a_folder_without_record_is_a_run_that_did_nothing(tmp_path: Path) -> None:
    (tmp_path / "000001-20260101T000000Z").mkdir()
    latest = record.latest(str(tmp_path))
    assert latest is not None and latest.entries == () and not latest.switched
