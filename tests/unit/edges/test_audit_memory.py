"""What the controller remembers of audit logs: it only grows until a log was found whole, and tells who asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from obstack.agent import wire
from obstack.agent.caller import clean, ssh_address
from obstack.agent.wire import AuditHead
from obstack.edges.audit_memory import AuditedChannel, FileAuditMemory
from obstack.plan.audit import Memory
from obstack.ports import Contents

pytestmark = pytest.mark.security

ONE, TWO = AuditHead(1, "a" * 64), AuditHead(2, "b" * 64)


@dataclass
class Answering:
    """A channel whose machine answers what it is told to."""

    reply: wire.Reply
    node: str = "web-1"
    asked: list[wire.Request] = field(default_factory=list)

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        self.asked.append(request)
        return self.reply

    def interrupt(self) -> None:
        return


def ask(folder: Path, reply: wire.Reply, verb: str = "apply") -> wire.Request:
    channel = Answering(reply)
    AuditedChannel(channel, FileAuditMemory(folder)).ask(wire.Request(verb, who="a\nb"), Contents(), lambda _: None)
    return channel.asked[0]


def test_each_head_that_was_seen_is_remembered_once_until_one_stands_for_all(tmp_path: Path) -> None:
    memory = FileAuditMemory(tmp_path)
    for head in (ONE, ONE, TWO, ONE):
        ask(tmp_path, wire.Reply("committed", audit=head))
    assert memory.recall("web-1") == Memory((ONE, TWO, ONE))
    memory.settle("web-1", TWO)
    assert memory.recall("web-1") == Memory((TWO,))
    path = tmp_path / ".fleet/audit/web-1.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".fleet/.gitignore").read_text() == "*\n"


def test_an_answer_without_a_head_makes_nothing_forgotten_but_a_purge_does(tmp_path: Path) -> None:
    ask(tmp_path, wire.Reply("committed", audit=ONE))
    ask(tmp_path, wire.Reply("ok"))
    assert FileAuditMemory(tmp_path).recall("web-1").heads == (ONE,)
    ask(tmp_path, wire.Reply("committed", data={"purged": True}), verb="uninstall")
    assert FileAuditMemory(tmp_path).recall("web-1").heads == ()


def test_what_was_accepted_is_kept_with_the_moment(tmp_path: Path) -> None:
    memory = FileAuditMemory(tmp_path)
    memory.note("web-1", ONE)
    memory.accept("web-1", TWO, 12.5)
    assert memory.recall("web-1") == Memory((TWO,), 12.5)
    memory.settle("web-1", ONE)
    assert memory.recall("web-1") == Memory((ONE,), 12.5)


def test_nothing_is_written_without_a_configuration_or_for_a_name_that_leads_elsewhere(tmp_path: Path) -> None:
    FileAuditMemory(tmp_path / "none").note("web-1", ONE)
    FileAuditMemory(tmp_path).note("../web-1", ONE)
    FileAuditMemory(tmp_path).note("a/b", ONE)
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_of_the_memory_is_passed_over(tmp_path: Path) -> None:
    memory = FileAuditMemory(tmp_path)
    memory.note("web-1", ONE)
    with (tmp_path / ".fleet/audit/web-1.jsonl").open("ab") as stream:
        stream.write(b'{"seq')
    assert memory.recall("web-1").heads == (ONE,)


def test_the_agent_is_told_who_asks_in_harmless_words(tmp_path: Path) -> None:
    request = ask(tmp_path, wire.Reply("ok"))
    assert request.who == "a\\nb"
    assert request.origin["host"]
    assert clean("a\x1b[2J\udce4\u2028" + "x" * 300).startswith("a\\x1b[2J\\xdce4\\x2028xxx")
    assert len(clean("x" * 300)) == 200


@pytest.mark.parametrize(
    ("text", "found"),
    [("192.0.2.7 50 192.0.2.1 22", "192.0.2.7"), ("fe80::1%eth0 1 x 22", "fe80::1%eth0"), ("x;y", ""), ("\0", "")],
)
def test_an_address_is_taken_only_if_it_is_one(text: str, found: str) -> None:
    assert ssh_address({"SSH_CONNECTION": text}) == found
