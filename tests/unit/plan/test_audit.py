"""Every way to alter an audit log is found, named at the first entry that is wrong, and a whole log is trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.agent.wire import AuditHead, canonical
from obstack.plan.audit import (
    BEGINNING,
    Chain,
    Memory,
    Standing,
    Verdict,
    Witness,
    judge,
    parse_entry,
    parse_witness,
    wanted_numbers,
)

pytestmark = pytest.mark.security

NOTHING = Memory()


def lines_of(count: int, word: str = "") -> list[str]:
    """A whole log of so many entries."""
    lines: list[str] = []
    for number in range(1, count + 1):
        previous = heads_of(lines)[-1].hash if lines else BEGINNING
        entry = {"sequence": number, "previous": previous, "time": 1e9 + number, "verb": "apply", "who": {"name": word}}
        lines.append(canonical(entry).decode() + "\n")
    return lines


def heads_of(lines: Sequence[str]) -> list[AuditHead]:
    chain = Chain(frozenset(range(len(lines) + 2)))
    for line in lines:
        chain.feed(line)
    return [AuditHead(number, chain.hashes[number]) for number in sorted(chain.hashes)]


def witnesses_of(lines: Sequence[str], *, end: bool = False) -> list[Witness]:
    heads = heads_of(lines)
    return [
        Witness(heads[0].hash, head.sequence, head.hash, 1e9 + head.sequence, end and head is heads[-1])
        for head in heads
    ]


def verdict_of(lines: Sequence[str], memory: Memory = NOTHING, witnesses: Sequence[Witness] = ()) -> Verdict:
    chain = Chain(wanted_numbers(memory, witnesses))
    for line in lines:
        chain.feed(line)
    return judge("web-1", "audit.jsonl", chain, memory, witnesses, Standing(append_only=True))


def first(verdict: Verdict) -> tuple[str, int | None]:
    return verdict.breaches[0].code, verdict.breaches[0].entry


def remembering(lines: Sequence[str], *numbers: int) -> Memory:
    heads = heads_of(lines)
    return Memory(tuple(heads[number - 1] for number in numbers))


def test_a_whole_log_is_intact() -> None:
    lines = lines_of(5)
    verdict = verdict_of(lines, remembering(lines, 2, 5), witnesses_of(lines)[2:])
    assert verdict.intact
    assert (verdict.entries, verdict.remembered, verdict.witnessed) == (5, 5, 3)
    assert verdict.head == heads_of(lines)[-1]
    assert verdict_of([]).intact


def test_a_changed_line_is_found_at_its_entry() -> None:
    lines = lines_of(5)
    entry = json.loads(lines[2])
    lines[2] = canonical(entry | {"who": {"name": "nobody"}}).decode() + "\n"
    assert first(verdict_of(lines)) == ("entry-changed", 3)


def test_the_last_line_has_no_one_after_it_and_is_found_by_what_was_seen() -> None:
    whole = lines_of(5)
    lines = [*whole[:4], whole[4].replace("apply", "prune")]
    assert verdict_of(lines).intact, "nothing in the log itself can tell"
    assert first(verdict_of(lines, remembering(whole, 5))) == ("log-replaced", 5)
    assert first(verdict_of(lines, witnesses=witnesses_of(whole))) == ("journal-differs", 5)


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        ([0, 1, 3, 4], ("entries-missing", 3)),
        ([1, 2, 3, 4], ("entries-missing", 1)),
        ([0, 1, 1, 2, 3, 4], ("entries-added", 3)),
        ([0, 2, 1, 3, 4], ("entries-missing", 2)),
    ],
)
def test_lines_that_go_come_or_move_are_found(kept: list[int], found: tuple[str, int]) -> None:
    lines = lines_of(5)
    assert first(verdict_of([lines[number] for number in kept])) == found


@pytest.mark.parametrize("line", ["", "x", "[]", '{"sequence": 3}', '{"sequence":"3"}', "[" * 30_000, '{"a":\\ud800}'])
def test_what_is_no_entry_is_found(line: str) -> None:
    lines = lines_of(5)
    lines[2] = line + "\n"
    assert first(verdict_of(lines)) == ("line-changed", 3)


def test_an_entry_in_another_form_is_found() -> None:
    lines = lines_of(3)
    lines[1] = json.dumps(json.loads(lines[1])) + "\n"
    assert first(verdict_of(lines)) == ("line-changed", 2)


def test_a_cut_end_is_found_by_what_was_seen() -> None:
    lines = lines_of(5)
    assert verdict_of(lines[:3]).intact, "nothing in the log itself can tell"
    assert first(verdict_of(lines[:3], remembering(lines, 2, 5))) == ("log-shortened", 4)
    assert first(verdict_of(lines[:3], witnesses=witnesses_of(lines))) == ("journal-knows-more", 4)
    assert first(verdict_of([], remembering(lines, 5))) == ("log-gone", None)


def test_a_log_that_was_cut_and_went_on_is_found_although_newer_heads_were_seen() -> None:
    whole, forged = lines_of(5), [*lines_of(3)]
    forged += lines_of(6, "other")[3:]
    seen = Memory((*remembering(whole, 5).heads, *remembering(lines_of(6), 6).heads))
    assert not verdict_of(forged, seen).intact


def test_a_consistent_forgery_is_found_by_either_witness() -> None:
    whole, forged = lines_of(5), lines_of(5, "somebody else")
    assert verdict_of(forged).intact, "nothing in the log itself can tell"
    assert first(verdict_of(forged, remembering(whole, 4))) == ("log-replaced", 4)
    assert first(verdict_of(forged, witnesses=witnesses_of(whole))) == ("journal-knows-another", 1)


def test_a_log_after_a_purge_is_a_new_one() -> None:
    before, lines = lines_of(5), lines_of(2, "after")
    assert verdict_of(lines, witnesses=witnesses_of(before, end=True)).intact
    assert not verdict_of(lines, witnesses=witnesses_of(before)).intact


def test_what_was_accepted_makes_older_witnesses_silent() -> None:
    before, lines = lines_of(5), lines_of(2, "after")
    assert verdict_of(lines, Memory(accepted=2e9), witnesses_of(before)).intact
    later = [replace(witness, time=3e9) for witness in witnesses_of(before)]
    assert not verdict_of(lines, Memory(accepted=2e9), later).intact


def test_a_torn_end_is_a_note() -> None:
    lines = lines_of(2)
    verdict = verdict_of([*lines, '{"sequence":3,'], remembering(lines, 2))
    assert verdict.intact
    assert "not whole" in verdict.notes[0]


@given(st.data())
def test_no_single_alteration_passes_when_the_head_is_remembered(data: st.DataObject) -> None:
    lines = lines_of(4)
    memory = remembering(lines, 4)
    text = "".join(lines)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from('0a{}",\n: '))
    if text[place] == letter:
        return
    altered = text[:place] + letter + text[place + 1 :]
    assert not verdict_of(altered.splitlines(keepends=True), memory).intact


@given(
    st.recursive(st.none() | st.text() | st.integers() | st.floats(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_no_line_breaks_the_reader(value: object) -> None:
    line = json.dumps(value)
    parse_entry(line)
    Chain(frozenset()).feed(line + "\n")


def test_witnesses_that_nobody_of_ours_wrote_are_passed_over() -> None:
    assert parse_witness({"log": "a", "sequence": "x", "hash": "b", "time": "1"}) is None
    assert parse_witness({"sequence": "1"}) is None
    witness = parse_witness({"log": "a", "sequence": "7", "hash": "b", "time": "2000000", "end": "purged"})
    assert witness == Witness("a", 7, "b", 2.0, True)
