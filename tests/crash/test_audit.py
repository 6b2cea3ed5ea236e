"""The audit log of a small real world: what is entered of each verb, and what a crash or a link does to it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from crash.world import World
from obstack.agent import wire
from obstack.plan.audit import Entry
from obstack.ports import Contents

pytestmark = pytest.mark.security


def told(entry: Entry) -> tuple[str, str, str]:
    return entry.verb, entry.outcome, entry.code


def test_each_change_is_entered_with_who_what_and_how_it_ended(small: World) -> None:
    one, two = small.generation("one"), small.generation("two")
    small.apply(one)
    small.apply(one)  # changes nothing
    refusing = wire.CheckEntry("no", ("/bin/false",))
    small.ask("apply", small.generation("three", checks=(refusing,)))
    small.ask("apply", small.generation("four", gate="red"))
    small.apply(two)
    small.ask("rollback", to="previous")
    small.ask("prune", keep=1)
    small.ask("prune", keep=1)  # drops nothing
    reply = small.ask("uninstall", purge=False)

    entries = small.audited()
    assert [told(entry) for entry in entries] == [
        ("apply", "committed", ""),
        ("apply", "refused", "check-failed"),
        ("apply", "rolled-back", "gate-failed"),
        ("apply", "committed", ""),
        ("rollback", "committed", ""),
        ("prune", "pruned", ""),
        ("uninstall", "committed", ""),
    ]
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5, 6, 7]
    assert (entries[0].before, entries[0].after) == (None, one.identity)
    assert (entries[2].before, entries[2].after) == (one.identity, one.identity)
    assert (entries[6].before, entries[6].after) == (one.identity, None)
    assert entries[0].who["name"] == "a test"
    assert all(len(entry.agent) == 64 for entry in entries)
    assert reply.audit == wire.AuditHead(7, entries[-1].hash)
    assert reply.data["audit_log"] == str(small.state / "audit.jsonl")
    assert stat.S_IMODE((small.state / "audit.jsonl").stat().st_mode) == 0o600


def test_what_is_unchanged_enters_nothing_and_still_shows_the_head(small: World) -> None:
    one = small.generation("one")
    head = small.apply(one).audit
    before = (small.state / "audit.jsonl").stat()
    assert small.apply(one).audit == head == small.inspect().audit
    after = (small.state / "audit.jsonl").stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


def test_the_run_that_died_is_entered_by_recovery_with_who_had_begun_it(small: World) -> None:
    small.apply(small.generation("one"))
    ends = {
        "tree": "abandoned",
        "record-after-switching": "rolled-back",
        "record-after-gated": "committed",
        "audit": "committed",
        "audit-entered": "committed",
    }
    for number, (point, outcome) in enumerate(ends.items(), 1):
        assert small.crash(point, "apply", small.generation(f"two {number}")), point
        small.ask("recover")
        entries = small.audited()
        assert len(entries) == number + 1, point
        assert (entries[-1].outcome, entries[-1].who["name"]) == (outcome, "a test"), point
        if point == "audit-entered":
            assert entries[-1].recovered is None, "it was entered by the run itself"
        else:
            assert entries[-1].recovered is not None and entries[-1].recovered["account"], point


def test_values_from_outside_are_one_harmless_line(small: World) -> None:
    one = small.generation("one")
    evil = 'anna\n{"sequence":9}\x1b[2J' + "x" * 500
    request = wire.Request("apply", {}, one.manifest, evil, origin={"host": "a\nb", "unheard": "of"})
    small.channel().ask(request, Contents(blobs=one.blobs), small.events.append)
    (entry,) = small.audited()
    assert len(entry.who["name"]) == 200
    assert "\n" not in entry.who["name"] and "\x1b" not in entry.who["name"]
    assert entry.who["controller_host"] == "a\\nb"
    assert "unheard" not in str(entry.who)


def test_what_cannot_be_entered_is_not_begun(small: World, tmp_path: Path) -> None:
    one = small.generation("one")
    small.apply(one)
    log, victim = small.state / "audit.jsonl", tmp_path / "victim"
    victim.write_text("of somebody else\n")
    puts: list[Callable[[], None]] = [
        lambda: log.symlink_to(victim),
        lambda: os.link(victim, log),
        lambda: os.mkfifo(log),
        lambda: log.mkdir(),
    ]
    for put in puts:
        log.unlink(missing_ok=True)
        put()
        reply = small.ask("apply", small.generation("two"))
        assert reply.fault is not None
        assert (reply.fault.code, reply.fault.exit_code) == ("audit-log-unusable", 3)
        assert victim.read_text() == "of somebody else\n"
        assert small.inspect().generation == one.identity
