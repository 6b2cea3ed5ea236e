"""Entries and verdicts of audit logs, as people read them. Pure; the caller prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from obstack.cli.output import paint, sanitize
from obstack.cli.views import count, moment, short
from obstack.plan.audit import Entry, Verdict


def entry_rows(entries: Iterable[Entry]) -> list[tuple[str, ...]]:
    """Given entries, return a row of cells for each."""
    return [
        (
            str(entry.sequence),
            moment(entry.time),
            entry.verb,
            entry.outcome.replace("-", " ") + (f" ({entry.code})" if entry.code else ""),
            _way(entry),
            caller_text(entry.who) + _recovery(entry),
        )
        for entry in entries
    ]


def caller_text(who: Mapping[str, str]) -> str:
    """Given what an entry says of who asked, return it in words: the name, and what the machine itself knows."""
    name = who.get("name") or who.get("sudo") or who.get("login") or who.get("account") or "unknown"
    where = who.get("controller_host")
    parts = [f"{name}@{where}" if where else name]
    address = who.get("address") or who.get("controller_address")
    parts += [f"from {address}"] if address else []
    unit = who.get("controller_unit") or who.get("unit")
    parts += [f"in {unit}"] if unit else []
    parts += [f"bundle {who['controller_bundle']}"] if "controller_bundle" in who else []
    sudo = who.get("sudo")
    parts += [f"as {who['account']} by sudo of {sudo}"] if sudo and sudo != name and "account" in who else []
    return " ".join(parts)


def verdict_lines(verdict: Verdict) -> list[str]:
    """Given a verdict, return it: one line for a whole log, the first broken entry with its remedy for another."""
    entries = count(verdict.entries, "entry", "entries")
    head = f", its head {verdict.head.sequence} {short(verdict.head.hash)}" if verdict.head else ""
    if verdict.intact:
        seen = f"the journal has {verdict.witnessed} of them" if verdict.witnessed else "the journal has none of them"
        known = f"entry {verdict.remembered} is as remembered, " if verdict.remembered else ""
        whole = f"{entries}, the chain is whole{head}; {known}{seen}" if verdict.entries else "no entry yet"
        lines = [f"{verdict.node}: {paint('intact', 'green')}, {whole}"]
    else:
        first = verdict.breaches[0]
        where = "the log" if first.entry is None else f"entry {first.entry}"
        broken = paint(f"BROKEN at {where}", "red", bold=True)
        lines = [
            f"{verdict.node}: {broken} [{first.code}] {sanitize(first.what)}",
            f"  where: {sanitize(verdict.place)}, {entries}{head}",
            f"  means: {sanitize(first.means)}",
            *(f"  also:  [{other.code}] {sanitize(other.what)}" for other in verdict.breaches[1:]),
            f"  do:    {sanitize(first.do)}",
        ]
    return [*lines, *(f"  note:  {sanitize(note)}" for note in verdict.notes)]


def _way(entry: Entry) -> str:
    way = short(entry.after) if entry.before == entry.after else f"{short(entry.before)} → {short(entry.after)}"
    return way if entry.target in (entry.after, None) else f"{way}, not {short(entry.target)}"


def _recovery(entry: Entry) -> str:
    if entry.recovered is None:
        return ""
    return (
        "; ended at boot" if entry.recovered.get("boot") else f"; ended by recovery for {caller_text(entry.recovered)}"
    )
