"""How entries and verdicts of audit logs are shown."""

from __future__ import annotations

import pytest

from obstack.agent.wire import AuditHead
from obstack.cli.audit.views import caller_text, entry_rows, verdict_lines
from obstack.cli.main import run
from obstack.plan.audit import Breach, Entry, Verdict

ONE, TWO = "1" * 64, "2" * 64
HEAD = AuditHead(7, "abcdef0123456789" * 4)
PLACE = "/var/lib/observability/audit.jsonl"
BREACH = Breach("entry-changed", 3, "Entry 3 is not the one.", "entry 3 was changed", "look at it")


def entry(outcome: str, after: str | None, code: str = "", recovered: dict[str, str] | None = None) -> Entry:
    who = {"name": "anna", "account": "root"}
    return Entry(7, 1e9, "apply", outcome, ONE, after, TWO, "000007", "", who, recovered, code, "h")


def test_an_entry_says_what_is_in_force_and_what_was_not_reached() -> None:
    rows = entry_rows(
        [
            entry("committed", TWO),
            entry("rolled-back", ONE, "gate-failed"),
            entry("rolled-back", ONE, "crashed", {"name": "boot", "boot": "True"}),
        ]
    )
    assert rows == [
        ("7", "2001-09-09T01:46:40Z", "apply", "committed", "111111111111 → 222222222222", "anna"),
        (
            "7",
            "2001-09-09T01:46:40Z",
            "apply",
            "rolled back (gate-failed)",
            "111111111111, not 222222222222",
            "anna",
        ),
        (
            "7",
            "2001-09-09T01:46:40Z",
            "apply",
            "rolled back (crashed)",
            "111111111111, not 222222222222",
            "anna; ended at boot",
        ),
    ]


@pytest.mark.parametrize(
    ("who", "text"),
    [
        ({}, "unknown"),
        ({"name": "anna", "account": "root", "sudo": "anna", "controller_host": "mon-1"}, "anna@mon-1"),
        ({"name": "anna", "account": "root", "sudo": "admin"}, "anna as root by sudo of admin"),
        ({"name": "root", "address": "192.0.2.7"}, "root from 192.0.2.7"),
        ({"name": "root", "controller_unit": "observability-renew.service"}, "root in observability-renew.service"),
        ({"name": "root", "controller_bundle": "web-1.bundle"}, "root bundle web-1.bundle"),
    ],
)
def test_who_asked_in_words(who: dict[str, str], text: str) -> None:
    assert caller_text(who) == text


def test_a_verdict_names_the_first_broken_entry_or_says_what_was_looked_at() -> None:
    assert verdict_lines(Verdict("mon-1", PLACE, 7, HEAD, 6, 5, (), ("a note",))) == [
        "mon-1: intact, 7 entries, the chain is whole, its head 7 abcdef012345; entry 6 is as remembered, "
        "the journal has 5 of them",
        "  note:  a note",
    ]
    assert verdict_lines(Verdict("mon-1", PLACE, 0, None, 0, 0, (), ())) == ["mon-1: intact, no entry yet"]
    other = Breach("log-replaced", 5, "Entry 5 is another.", "", "")
    assert verdict_lines(Verdict("mon-1", PLACE, 7, HEAD, 6, 5, (BREACH, other), ())) == [
        "mon-1: BROKEN at entry 3 [entry-changed] Entry 3 is not the one.",
        f"  where: {PLACE}, 7 entries, its head 7 abcdef012345",
        "  means: entry 3 was changed",
        "  also:  [log-replaced] Entry 5 is another.",
        "  do:    look at it",
    ]


def test_accepting_is_for_one_node_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "--accept"]) == 2
    assert "one node at a time" in capsys.readouterr().err
