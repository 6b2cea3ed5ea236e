"""The audit log of a real machine: who is entered, what the journal saw, and that no alteration stays hidden."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from machine.audit_log import AGENT, LOG, overwrite
from machine.library.image import Image
from machine.library.session import Machines
from machine.small import Small, small
from machine.way import Way, reached
from obstack.agent import wire
from obstack.agent.audit import BEGINNING, digest
from obstack.edges.audit_memory import AuditedChannel, FileAuditMemory
from obstack.errors import Unreachable
from obstack.operations.audit import show_log, verify_log
from obstack.plan.audit import Entry, Verdict
from obstack.ports import Contents
from obstack.render.recovery import SANDBOX

pytestmark = [pytest.mark.machine, pytest.mark.security]

FORGE = """import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), "/run/systemd/journal/socket")"""

Lines = list[str]


class Silent:
    """Shows nothing to anybody."""

    def event(self, node: str, event: wire.Event) -> None:
        return

    def step(self, message: str) -> None:
        return

    def progress(self, message: str, done: int, total: int) -> None:
        return


@dataclass
class Audited:
    """A machine whose log a controller remembers in a folder."""

    way: Way
    configuration: Path

    @property
    def memory(self) -> FileAuditMemory:
        return FileAuditMemory(self.configuration)

    def channel(self, user: str = "root") -> AuditedChannel:
        return AuditedChannel(self.way.channel(user), self.memory)

    def ask(self, generation: Small, user: str = "root") -> wire.Reply:
        return self.channel(user).ask(generation.request, generation.contents, lambda _: None)

    def verify(self) -> Verdict:
        return verify_log(self.channel(), self.memory, Silent())

    def entries(self) -> tuple[Entry, ...]:
        return show_log(self.channel(), Silent()).entries

    def lines(self) -> Lines:
        return self.way.machine.succeed(["cat", LOG]).stdout.splitlines()

    def put(self, lines: Lines) -> None:
        """Be root on that machine, and write the log anew."""
        overwrite(self.way.machine, lines)


@pytest.fixture(scope="module")
def audited(machines: Machines, sudo_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """A machine with five changes behind it, all of which the controller and the journal have seen."""
    with reached(machines, sudo_image, tmp_path_factory.mktemp("way")) as way:
        audited = Audited(way, tmp_path_factory.mktemp("configuration"))
        for text in ("one", "two", "three", "four"):
            assert audited.ask(small(text)).outcome == "committed"
        assert audited.ask(small("five"), "admin").outcome == "committed"
        yield audited


def test_it_says_who_came_from_where_and_became_root_how(audited: Audited) -> None:
    first, *_, last = audited.entries()
    assert (first.who["name"], first.who["account"], "sudo" in first.who) == ("a test", "root", False)
    assert (last.who["account"], last.who["sudo"]) == ("root", "admin")
    for entry in (first, last):
        network = audited.way.machine.address.rpartition(".")[0]
        assert entry.who["address"].startswith(network)
        assert entry.who["address"] != audited.way.machine.address
        assert entry.who["controller_host"]
    assert (last.before, last.after) == (small("four").manifest.identity, small("five").manifest.identity)


def test_a_whole_log_is_intact_and_the_journal_has_each_entry(audited: Audited) -> None:
    verdict = audited.verify()
    assert verdict.intact, verdict
    assert verdict.entries == verdict.witnessed == verdict.remembered
    assert audited.way.machine.succeed(["stat", "--format=%a %U", LOG]).stdout == "600 root\n"


def changed(lines: Lines) -> Lines:
    return [lines[0], lines[1].replace('"a test"', '"nobody"'), *lines[2:]]


def without_one(lines: Lines) -> Lines:
    return [*lines[:2], *lines[3:]]


def renumbered(lines: Lines) -> Lines:
    return [*lines[:2], lines[2].replace('"sequence":3', '"sequence":7'), *lines[3:]]


def cut(lines: Lines) -> Lines:
    return lines[:3]


def forged(lines: Lines, begin: int = 0) -> Lines:
    """A chain whose lines fit each other, in which somebody else has done it all from entry `begin` + 1 on."""
    made = lines[:begin]
    for line in lines[begin:]:
        entry = json.loads(line)
        entry["who"] = {"name": "somebody else"}
        entry["previous"] = digest(made[-1].encode()) if made else BEGINNING
        made.append(wire.canonical(entry).decode())
    return made


def forged_end(lines: Lines) -> Lines:
    return forged(lines, len(lines) - 1)


@pytest.mark.parametrize(
    ("alter", "code", "entry", "by_journal"),
    [
        (changed, "entry-changed", 2, "entry-changed"),
        (without_one, "entries-missing", 3, "entries-missing"),
        (renumbered, "entries-missing", 3, "entries-missing"),
        (cut, "log-shortened", 4, "journal-knows-more"),
        (forged, "log-replaced", None, "journal-knows-another"),
        (forged_end, "log-replaced", None, "journal-differs"),
        (lambda lines: [], "log-gone", None, "journal-knows-another"),
    ],
    ids=["line changed", "line removed", "gap", "tail cut", "forged", "end forged", "gone"],
)
def test_an_alteration_is_found_by_what_is_remembered_and_by_the_journal_alone(
    audited: Audited, tmp_path: Path, alter: Callable[[Lines], Lines], code: str, entry: int | None, by_journal: str
) -> None:
    whole = audited.lines()
    audited.put(alter(whole))
    try:
        found = audited.verify().breaches[0]
        assert found.code == code
        assert entry is None or found.entry == entry
        assert "audit show --host web-1" in found.do or "--accept" in found.do
        stranger = Audited(audited.way, tmp_path)
        assert stranger.verify().breaches[0].code == by_journal
    finally:
        audited.put(whole)
    memory = audited.memory
    memory.settle("web-1", wire.AuditHead(len(whole), digest(whole[-1].encode())))
    assert audited.verify().intact


def test_what_goes_on_after_a_cut_is_found_although_the_newest_head_is_right(audited: Audited) -> None:
    whole = audited.lines()
    audited.put(cut(whole))
    assert audited.ask(small("after the cut")).outcome == "committed"
    verdict = audited.verify()
    assert verdict.breaches[0].code in ("log-replaced", "log-shortened")
    now = audited.entries()
    assert [entry.sequence for entry in now] == [1, 2, 3, 4]
    accepted = verify_log(audited.channel(), audited.memory, Silent(), accept=True, now=now[-1].time + 1)
    assert accepted.intact, accepted
    for text in ("again", "and again"):
        audited.ask(small(text))
    assert audited.verify().intact


def test_only_what_root_told_the_journal_counts(audited: Audited) -> None:
    audited.ask(small("before the forgery"))
    first = digest(audited.lines()[0].encode())
    fields = {
        "MESSAGE": "audit 2: apply committed",
        "SYSLOG_IDENTIFIER": "observability-audit",
        "OBSERVABILITY_AUDIT_LOG": first,
        "OBSERVABILITY_AUDIT_SEQUENCE": "2",
        "OBSERVABILITY_AUDIT_HASH": "f" * 64,
    }
    message = "".join(f"{name}={value}\n" for name, value in fields.items())
    machine = audited.way.machine
    machine.succeed(["runuser", "-u", "guest", "--", "python3", "-c", FORGE, message])
    machine.wait_until_succeeds(f"journalctl OBSERVABILITY_AUDIT_HASH={'f' * 64} | grep apply")
    assert audited.verify().intact
    machine.succeed(["python3", "-c", FORGE, message.replace("f" * 64, "e" * 64)])
    machine.wait_until_succeeds(f"journalctl OBSERVABILITY_AUDIT_HASH={'e' * 64} | grep apply")
    assert audited.verify().breaches[0].code == "journal-differs"
    head = audited.verify().head
    assert head is not None
    audited.memory.accept("web-1", head, audited.entries()[-1].time + 60)


def test_a_run_that_a_power_cut_ended_is_entered_at_the_next_boot(audited: Audited) -> None:
    channel = audited.way.channel(environment={"OBSERVABILITY_CRASH_AT": "audit"})
    with pytest.raises(Unreachable):
        channel.ask(small("died").request, small("died").contents, lambda _: None)
    before, machine = len(audited.lines()), audited.way.machine
    machine.succeed(f"printf '{{\"sequence\":' >> {LOG}")  # what the power cut tore
    fences = f"--property=CapabilityBoundingSet={' '.join(SANDBOX.capabilities)}"
    recovery = ["systemd-run", "--quiet", "--wait", "--pipe", fences, "python3", "-I", AGENT, "boot-recover"]
    assert machine.succeed(recovery).stdout == "committed\n"
    last = audited.entries()[-1]
    assert len(audited.lines()) == before + 1
    assert (last.verb, last.outcome, last.who["name"]) == ("apply", "committed", "a test")
    assert last.recovered is not None
    assert (last.recovered["name"], last.recovered["boot"]) == ("boot", "True")


def test_the_file_system_holds_it_to_only_grow_and_a_purge_still_takes_it(audited: Audited) -> None:
    audited.ask(small("to be held"))
    reply = audited.channel().ask(wire.Request("audit"), Contents(), lambda _: None)
    machine = audited.way.machine
    if reply.data["append_only"]:
        for command in (f"truncate --size=0 {LOG}", f"rm -f {LOG}", f"mv {LOG} {LOG}.old", f"echo x > {LOG}"):
            assert machine.run(command).code != 0, command
    machine.succeed(["test", "-s", LOG])
    purge = wire.Request("uninstall", {"purge": True}, who="a test")
    assert audited.channel().ask(purge, Contents(), lambda _: None).fault is None
    assert machine.run(["test", "-e", "/var/lib/observability"]).code == 1
    assert audited.memory.recall("web-1").heads == ()
    assert audited.ask(small("a new beginning")).outcome == "committed"
    verdict = audited.verify()
    assert verdict.intact, "the journal was told of the purge"
    assert verdict.entries == verdict.witnessed == 1
