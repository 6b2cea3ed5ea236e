"""Whether a machine's audit log is whole: what the lines say of each other, what is remembered, what the journal saw.

A log can be changed by whoever is root on its machine, and then it is wrong in one of three places: a line does not fit
the one after it; or all lines fit each other and not the head that was seen once; or not what the journal was told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from obstack.agent.wire import AuditHead, canonical

BEGINNING: Final = "0" * 64
NOTED_SIZE: Final = 100 << 20

ACCEPT: Final = "observability audit verify --host {node} --accept"


@dataclass(frozen=True)
class Entry:
    """One change of a machine, as its log tells it. `hash` is that of its line."""

    sequence: int
    time: float
    verb: str
    outcome: str
    before: str | None
    after: str | None
    target: str | None
    transaction: str
    agent: str
    who: Mapping[str, str]
    recovered: Mapping[str, str] | None
    code: str
    hash: str


@dataclass(frozen=True)
class Witness:
    """What the journal has of one entry: of which log (the hash of its first line), its number and hash, and when.

    `end` says that the log went with a purge after it.
    """

    log: str
    sequence: int
    hash: str
    time: float
    end: bool = False


@dataclass(frozen=True)
class Memory:
    """What the controller remembers of a machine's log: heads that it has shown, the oldest first.

    `accepted` is when a person last took the log for good as it was: older lines of the journal do not count.
    """

    heads: tuple[AuditHead, ...] = ()
    accepted: float = 0.0


@dataclass(frozen=True)
class Standing:
    """What is known of the file itself, none of which is a breach.

    `append_only` is whether the file system holds it to only grow (None: it cannot), `journal` why that was not asked.
    """

    size: int = 0
    append_only: bool | None = None
    journal: str = ""


@dataclass(frozen=True)
class Breach:
    """One contradiction: at which entry (None: the log as a whole), what was found, what it means, what to do."""

    code: str
    entry: int | None
    what: str
    means: str
    do: str


@dataclass(frozen=True)
class Verdict:
    """What came of the judgement. The first breach is the earliest entry that is wrong."""

    node: str
    place: str
    entries: int
    head: AuditHead | None
    remembered: int
    witnessed: int
    breaches: tuple[Breach, ...]
    notes: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing contradicts the log."""
        return not self.breaches


def parse_entry(line: str) -> Entry | None:
    """Given a line without its end, return the entry; None when no agent has written it so."""
    data = _parse(line)
    if data is None:
        return None
    who, recovered = data.get("who"), data.get("recovered")
    return Entry(
        sequence=data["sequence"],
        time=_number(data.get("time")),
        verb=str(data.get("verb", "")),
        outcome=str(data.get("outcome", "")),
        before=_text(data.get("before")),
        after=_text(data.get("after")),
        target=_text(data.get("target")),
        transaction=str(data.get("transaction", "")),
        agent=str(data.get("agent", "")),
        who=_words(who),
        recovered=None if recovered is None else _words(recovered),
        code=str(data.get("code") or ""),
        hash=_hash(line),
    )


def parse_witness(data: Mapping[str, Any]) -> Witness | None:
    """Given what the agent passed on of a line of the journal, return it; None when it is not one of the agent's."""
    try:
        sequence, microseconds = int(str(data["sequence"])), int(str(data["time"]))
    except (KeyError, ValueError):
        return None
    return Witness(str(data.get("log")), sequence, str(data.get("hash")), microseconds / 1e6, bool(data.get("end")))


@dataclass
class Chain:
    """Reads a log line by line, from its beginning, and keeps the first line that does not fit.

    `wanted` are the numbers of the entries whose hashes are asked for afterwards.
    """

    wanted: frozenset[int]
    count: int = 0
    log: str = ""
    head: AuditHead | None = None
    torn: bool = False
    breach: tuple[str, int, str, str] | None = None
    hashes: dict[int, str] = field(default_factory=dict)
    _previous: str = BEGINNING

    def feed(self, text: str) -> None:
        """Take the next line, with its end. What has none was being written, or torn by a crash."""
        if not text.endswith("\n"):
            self.torn = True
            return
        line = text[:-1]
        self.count += 1
        number, data = self.count, _parse(line)
        hashed = _hash(line)
        if self.count == 1:
            self.log = hashed
        if self.breach is None:
            self.breach = self._judge(number, data)
        sequence = data["sequence"] if data is not None else number
        if sequence in self.wanted:
            self.hashes[sequence] = hashed
        self.head = AuditHead(sequence, hashed)
        self._previous = hashed

    def hash_of(self, sequence: int) -> str | None:
        """Return the hash of an entry that was wanted, or of the last one; None when there is no such entry."""
        if self.head is not None and self.head.sequence == sequence:
            return self.head.hash
        return self.hashes.get(sequence)

    def _judge(self, number: int, data: Mapping[str, Any] | None) -> tuple[str, int, str, str] | None:
        if data is None:
            return (
                "line-changed",
                number,
                f"Line {number} is not an entry as an agent writes it.",
                "the line was changed, or put there, by something else than the agent",
            )
        sequence = data["sequence"]
        if sequence > number:
            gone = f"entry {number} is" if sequence == number + 1 else f"entries {number} to {sequence - 1} are"
            return ("entries-missing", number, f"{gone[0].upper()}{gone[1:]} missing.", "somebody removed them")
        if sequence < number:
            return (
                "entries-added",
                number,
                f"Line {number} says that it is entry {sequence}.",
                "lines were put in, or their order was changed",
            )
        if data.get("previous") != self._previous:
            if number == 1:
                return ("entries-missing", 1, "Entry 1 names an entry before it.", "the beginning was removed")
            return (
                "entry-changed",
                number - 1,
                f"Entry {number - 1} is not the one that entry {number} was written after.",
                f"entry {number - 1} was changed afterwards, or entry {number} was",
            )
        return None


def wanted_numbers(memory: Memory, witnesses: Iterable[Witness]) -> frozenset[int]:
    """Return the numbers of the entries that something outside the log knows."""
    return frozenset((*(head.sequence for head in memory.heads), *(witness.sequence for witness in witnesses)))


def judge(
    node: str, place: str, chain: Chain, memory: Memory, witnesses: Sequence[Witness], standing: Standing
) -> Verdict:
    """Given a chain that was fed the whole log, and what is known from elsewhere, say whether the log is whole."""
    counted = [witness for witness in witnesses if witness.time >= memory.accepted]
    own = [witness for witness in counted if witness.log == chain.log]
    breaches = [
        *([Breach(*chain.breach, do=_look(node, place))] if chain.breach else []),
        *_against_memory(node, place, chain, memory),
        *_against_journal(node, place, chain, own),
        *_other_logs(node, place, chain, counted),
    ]
    agreeing = {witness.sequence for witness in own if chain.hash_of(witness.sequence) == witness.hash}
    return Verdict(
        node=node,
        place=place,
        entries=chain.count,
        head=chain.head,
        remembered=memory.heads[-1].sequence if memory.heads else 0,
        witnessed=len(agreeing),
        breaches=tuple(breaches),
        notes=_notes(chain, memory, standing),
    )


def _against_memory(node: str, place: str, chain: Chain, memory: Memory) -> list[Breach]:
    end = chain.head.sequence if chain.head else 0
    for head in memory.heads:
        if chain.hash_of(head.sequence) == head.hash:
            continue
        if end == 0:
            return [
                Breach(
                    "log-gone",
                    None,
                    f"There is no entry, and entry {head.sequence} was seen once.",
                    "the log was removed, or the machine was made anew or purged by hand",
                    _accept(node),
                )
            ]
        if head.sequence > end:
            return [
                Breach(
                    "log-shortened",
                    end + 1,
                    f"The log ends with entry {end}, and entry {head.sequence} was seen once.",
                    "its end was cut off, or an older copy of it was put in its place",
                    _look(node, place),
                )
            ]
        return [
            Breach(
                "log-replaced",
                head.sequence,
                f"Entry {head.sequence} is another one than the controller has seen.",
                "the log was written anew from there or before, however well its lines fit each other",
                _look(node, place),
            )
        ]
    return []


def _against_journal(node: str, place: str, chain: Chain, witnesses: Sequence[Witness]) -> list[Breach]:
    end = chain.head.sequence if chain.head else 0
    for witness in sorted(witnesses, key=lambda item: item.sequence):
        if witness.sequence > end:
            return [
                Breach(
                    "journal-knows-more",
                    end + 1,
                    f"The log ends with entry {end}, and the journal knows entry {witness.sequence}.",
                    "its end was cut off, or an older copy of it was put in its place",
                    _look(node, place),
                )
            ]
        if chain.hash_of(witness.sequence) != witness.hash:
            return [
                Breach(
                    "journal-differs",
                    witness.sequence,
                    f"Entry {witness.sequence} is another one than the journal was told.",
                    "the log was written anew from there or before, however well its lines fit each other",
                    _look(node, place),
                )
            ]
    return []


def _other_logs(node: str, place: str, chain: Chain, witnesses: Sequence[Witness]) -> list[Breach]:
    """Say when the journal knows of a log that went without a purge."""
    last: dict[str, Witness] = {}
    for witness in sorted(witnesses, key=lambda item: (item.time, item.sequence)):
        last[witness.log] = witness
    gone = [witness for log, witness in last.items() if log != chain.log and not witness.end]
    if not gone:
        return []
    return [
        Breach(
            "journal-knows-another",
            1 if chain.count else None,
            f"The journal knows a log with entry {gone[-1].sequence} that is not this one, and nothing of its purge.",
            "the whole log was removed or replaced, or the state folder was removed by hand",
            _look(node, place) if chain.count else _accept(node),
        )
    ]


def _notes(chain: Chain, memory: Memory, standing: Standing) -> tuple[str, ...]:
    notes = []
    if chain.torn:
        notes.append("the last line is not whole: it is being written, or a crash tore it and the next change mends it")
    if chain.count and not memory.heads:
        notes.append("no head was remembered yet; from now on it is")
    if standing.journal:
        notes.append(f"the journal was not asked: {standing.journal}")
    if chain.count and standing.append_only is None:
        notes.append("the file system cannot hold the file to only grow")
    elif chain.count and standing.append_only is False:
        notes.append("the file system does not hold the file to only grow; after the next change it does, if it can")
    if standing.size > NOTED_SIZE:
        megabytes = standing.size >> 20
        notes.append(f"the log has {megabytes} MiB: keep a copy elsewhere and look what makes so many changes")
    return tuple(notes)


def _look(node: str, place: str) -> str:
    return (
        f"keep a copy of {place} on {node} and of its journal, find out who was root there, and read what is left: "
        f"observability audit show --host {node}    once all is explained: {ACCEPT.format(node=node)}"
    )


def _accept(node: str) -> str:
    return f"when that was wanted: {ACCEPT.format(node=node)}    else treat the machine as one that was broken into"


def _parse(line: str) -> dict[str, Any] | None:
    """Return what a line says, if it is to the last byte what an agent writes."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or type(data.get("sequence")) is not int:
        return None
    try:
        return data if canonical(data).decode() == line else None
    except ValueError:
        return None


def _hash(line: str) -> str:
    return sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _words(value: object) -> Mapping[str, str]:
    return {str(name): str(word) for name, word in value.items()} if isinstance(value, dict) else {}
