"""Results as lines for people. Given values, return lines; nothing here prints, asks or decides."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from obstack.agent import wire
from obstack.cli.output import BELOW, one_line, paint, sanitize, table
from obstack.operations.apply import kept_of
from obstack.operations.generations import Generation
from obstack.operations.inspection import Inspection, Run, front_door
from obstack.plan.closing import Closing
from obstack.plan.diff import Difference, FileChange, Kind
from obstack.plan.explain import Plan
from obstack.plan.preflight import Finding, Severity

SHORT: Final = 12
RUNS_SHOWN: Final = 5
UNIT_COLOUR: Final = {"active": "green", "failed": "red"}
MARK: Final = {Kind.ADDED: ("+", "green"), Kind.REMOVED: ("-", "red"), Kind.CHANGED: ("~", "yellow")}
ACTION_COLOUR: Final = {"start": "green", "reload": "cyan", "restart": "yellow", "stop": "red", "none": None}
OUTCOME_COLOUR: Final = {"committed": "green", "rolled-back": "yellow", "rollback-failed": "red"}


def short(identity: str | None) -> str:
    """Given a generation's identity, return what people read: its first twelve digits, or `nothing`."""
    return one_line(identity[:SHORT]) if identity else "nothing"


def moment(seconds: float | None) -> str:
    """Given a unix time, return it as UTC, in a form that `--backup` and `--since` take; `unknown` for None."""
    try:
        return "unknown" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "unknown"  # a time that no calendar has, as any machine may write it into its journal


def age(seconds: float) -> str:
    """Given how long ago something was, return it for people, in the largest unit that fits: `3 minutes ago`."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{count(int(seconds // length), unit)} ago"
    return f"{count(max(int(seconds), 0), 'second')} ago"


def since(run: Run, now: float) -> str:
    """Given a run that a node remembers, return how long ago it began, for people."""
    return "unknown" if run.began is None else age(now - run.began)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 gate`, `2 gates`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def plan_lines(plan: Plan, *, diffs: bool, additions: bool = False) -> list[str]:
    """Given a plan, return it. `diffs` shows the changed lines, `additions` also those of new files."""
    if plan.empty:
        return [f"{plan.node} is as configured: generation {short(plan.generation)}, no drift. Nothing would change."]
    replaced = f"replaces {short(plan.current)}" if plan.current else "is the first on this machine"
    if plan.generation == plan.current:
        replaced = "is in force already; its drift is healed"
    lines = [paint(f"Plan for {plan.node}", bold=True) + f": generation {short(plan.generation)} {replaced}"]
    lines += difference_lines(plan.difference, diffs=diffs, additions=additions)
    lines += _section("Drift to heal", drift_table(plan.drift))
    lines += _section("Units", action_table(plan.actions))
    return lines + closing_lines(plan.closings)


def closing_lines(closings: Sequence[Closing]) -> list[str]:
    """Given what the server's firewall will cut off, return each, and what to write to keep it reachable, if any."""
    rows = [(f"{c.protocol.upper()} port {c.port}", one_line(c.owner), one_line(c.address)) for c in closings]
    entries = [f"  - {one_line(closing.entry)}" for closing in closings]
    advice = ["to keep them reachable, write in config/global.yaml what is right of this, below server.firewall.admit:"]
    title = "Ports that the firewall will shut to other machines"
    return _section(title, [*table(rows, margin=2), *advice, *entries] if rows else [])


def difference_lines(difference: Difference, *, diffs: bool, additions: bool) -> list[str]:
    """Given what differs between two generations, return it by sort; nothing for no difference."""
    files = [line for change in difference.files for line in _file(change, diffs, additions)]
    artifacts = [
        f"{_mark(change.kind)} "
        + one_line(f"{change.name} {' becomes '.join(v for v in (change.before, change.after) if v)}")
        for change in difference.artifacts
    ]
    return [
        *_section("Files", files),
        *_section("Artifacts", artifacts),
        *_section("Machine", [f"{_mark(c.kind)} {c.sort} {one_line(c.subject)}" for c in difference.outward]),
        *_section("Checks and gates", [f"{_mark(c.kind)} {c.sort} {one_line(c.subject)}" for c in difference.proofs]),
    ]


def manifest_lines(manifest: wire.Manifest) -> list[str]:
    """Given a manifest, return what the generation consists of."""
    files = [(f"{f.mode:04o}", f"{f.owner}:{f.group}", str(f.size), f.path) for f in manifest.files]
    return [
        paint(f"Generation {manifest.identity}", bold=True) + one_line(f" of {manifest.node} ({manifest.role})"),
        *_section("Files", table(files)),
        *_section("Artifacts", table([(artifact.name, artifact.version) for artifact in manifest.artifacts])),
        *_section("Links", table([(link.path, f"-> current/{link.target}") for link in manifest.links])),
        *_section(
            "Directories", table([(f"{d.mode:04o}", f"{d.owner}:{d.group}", d.path) for d in manifest.directories])
        ),
        *_section("Users", [one_line(user.name) for user in manifest.users]),
        *_section("Units", [one_line(unit.name) for unit in manifest.units]),
        *_section("Checks", [one_line(check.name) for check in manifest.checks]),
        *_section("Gates", table([(gate.name, gate.kind, gate.unit) for gate in manifest.gates])),
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", paint(title, bold=True), *(f"  {line}" for line in lines)] if lines else []


def _mark(kind: Kind) -> str:
    mark, colour = MARK[kind]
    return paint(mark, colour)


def _file(change: FileChange, diffs: bool, additions: bool) -> Iterable[str]:
    note = "secret, content not shown" if change.secret and not change.note else change.note
    yield f"{_mark(change.kind)} {one_line(change.path)}" + (f"  ({note})" if note else "")
    if change.text and diffs and (change.kind is Kind.CHANGED or additions):
        for line in change.text.split("\n")[2:]:
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            yield "    " + paint(one_line(line), colour)


def action_table(actions: Iterable[wire.Action]) -> list[str]:
    """Given actions, return a line for each: what, which unit, why."""
    actions = tuple(actions)
    lines = table([("-" if a.action == "none" else a.action, a.unit, a.reason) for a in actions], margin=2)
    return [_paint_first(line, ACTION_COLOUR.get(a.action)) for a, line in zip(actions, lines, strict=True)]


def drift_table(drift: Iterable[wire.Drift], *, margin: int = 2) -> list[str]:
    """Given drift, return a line for each difference."""
    return table([(item.kind, item.subject, item.detail) for item in drift], margin=margin)


def _paint_first(line: str, colour: str | None) -> str:
    first, space, rest = line.partition(" ")
    return paint(first, colour) + space + rest


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Given the findings of preflight, return each with its remedy, and what they mean together."""
    lines: list[str] = []
    for finding in findings:
        blocking = finding.severity is Severity.BLOCK
        label = paint("block" if blocking else "warn ", "red" if blocking else "yellow", bold=True)
        lines += [
            f"{label}  {one_line(finding.what)}  [{finding.code}]",
            f"       where: {one_line(finding.where)}",
            f"       do:    {one_line(finding.do)}",
        ]
    blocks = sum(finding.severity is Severity.BLOCK for finding in findings)
    warnings = len(findings) - blocks
    verdict = paint("blocked", "red", bold=True) if blocks else paint("ready", "green", bold=True)
    return [*lines, f"{verdict}: {count(blocks, 'finding blocks', 'findings block')}, {count(warnings, 'warning')}"]


def gate_lines(node: str, gates: Sequence[wire.GateResult], generation: str | None, *, verbose: bool) -> list[str]:
    """Given the gates' results, return the verdict; the red gates with their evidence; with `verbose` all of them."""
    red = [gate for gate in gates if not gate.passed]
    shown = list(gates) if verbose else red
    lines = [
        _gate_mark(gate) + " " + line
        for gate, line in zip(
            shown, table([(g.name, g.unit, f"{g.seconds:.2f} s", g.remark) for g in shown], margin=4), strict=True
        )
    ]
    for names, evidence in _evidence(red):
        lines += ["", one_line(f"evidence of {', '.join(names)}:"), *(f"  | {line}" for line in evidence)]
    health = paint("unhealthy", "red", bold=True) if red else paint("healthy", "green", bold=True)
    green = len(gates) - len(red)
    return [*lines, f"{node} is {health}: {green} of {count(len(gates), 'gate')} green, generation {short(generation)}"]


def _evidence(red: Iterable[wire.GateResult]) -> list[tuple[list[str], tuple[str, ...]]]:
    """Return each text of evidence once, with all gates that it belongs to."""
    found: dict[tuple[str, ...], list[str]] = {}
    for gate in red:
        if gate.evidence:
            found.setdefault(tuple(_tail(gate.evidence)), []).append(gate.name)
    return [(names, evidence) for evidence, names in found.items()]


def _gate_mark(gate: wire.GateResult) -> str:
    return paint("ok ", "green") if gate.passed else paint("RED", "red", bold=True)


def _tail(text: str, lines: int = 20) -> list[str]:
    return [one_line(line) for line in text.rstrip("\n").split("\n")[-lines:]]


def outcome_lines(node: str, reply: wire.Reply, seconds: float) -> list[str]:
    """Given the reply to a change, return what was done."""
    generation = short(reply.generation)
    if reply.outcome == "failed":
        return []  # it did not begin; the error says all there is
    green = sum(gate.passed for gate in reply.gates)
    gates = f", {green} of {count(len(reply.gates), 'gate')} green" if reply.gates else ""
    if reply.outcome == "unchanged" and reply.fault is None:
        return [f"{node}: nothing to do, generation {generation} is in force ({seconds:.1f} s)"]
    if reply.outcome == "unchanged":
        return [f"{node}: nothing was changed, generation {generation} is in force{gates} ({seconds:.1f} s)"]
    word = paint(reply.outcome.replace("-", " "), OUTCOME_COLOUR.get(reply.outcome), bold=True)
    if reply.outcome != "committed":
        # What was planned was not done, or was undone; the error tells how far it came.
        now = f"generation {generation} is in force" if reply.generation else "no generation is in force"
        return [f"{node}: {word}, {now} ({seconds:.1f} s)", *_kept(reply)]
    lines = action_table(action for action in reply.actions if action.action != "none")
    return [
        f"{node}: {word}, generation {generation}{gates} ({seconds:.1f} s)",
        *(f"  {line}" for line in lines),
        *(f"  healed {line}" for line in drift_table(reply.drift, margin=9)),
        *_kept(reply),
    ]


def _kept(reply: wire.Reply) -> list[str]:
    """Return where data are that the change copied or set aside."""
    return [one_line(f"  kept {item.unit}: {item.what}, in {item.path}") for item in kept_of(reply)]


def generation_table(generations: Iterable[Generation], now: float) -> list[str]:
    """Given the kept generations, return a line for each: whether it is in force, and when it came into force."""
    rows = []
    for item in generations:
        last, *before = reversed(item.committed) if item.committed else (None,)
        rows.append(
            (
                "*" if item.current else " ",
                short(item.identity),
                moment(last) if last is not None else "not yet" if item.current else "never",
                "" if last is None else age(now - last),
                ", ".join(moment(time) for time in before),
            )
        )
    return table(rows, header=("", "generation", "came into force", "", "and before that") if rows else ())


def status_lines(inspection: Inspection, place: str, chosen_by: str, now: float) -> list[str]:
    """Given one look at a node, return what is in force there. `place` is the root and `chosen_by` why it was taken."""
    head = [
        ("node", inspection.node),
        ("root", f"{place} ({chosen_by})"),
        ("generation", short(inspection.generation) if inspection.generation else _first_step(place)),
    ]
    url = front_door(inspection.manifest)
    if url:
        head.append(("front door", url))
    drift = count(len(inspection.drift), "difference") if inspection.drift else "none"
    head.append(("drift", f"{drift}{', see: observability drift' if inspection.drift else ''}"))
    declared = inspection.manifest.units if inspection.manifest else ()
    timed = {unit.name.removesuffix(".timer") for unit in declared if unit.name.endswith(".timer")}
    started_by = {
        unit.name: "at boot" if unit.enabled else "by timer" if unit.name in timed else "when needed"
        for unit in declared
        if unit.boot_only
    }
    units = table(
        [
            (started_by[unit.name], unit.name)
            if unit.name in started_by
            else (unit.active, unit.name, unit.sub, f"PID {unit.pid}" if unit.pid else "")
            for unit in inspection.units
        ]
    )
    colours = [UNIT_COLOUR.get(unit.active, "yellow") for unit in inspection.units]
    runs = [
        (run.name, since(run, now), run.verb, _outcome(run), short(run.target))
        for run in inspection.transactions[:RUNS_SHOWN]
    ]
    return [
        *table(head),
        *_section("Units", [_paint_first(line, colour) for line, colour in zip(units, colours, strict=True)]),
        *_section("Last runs", table(runs)),
    ]


def _outcome(run: Run) -> str:
    return run.outcome or ("under way" if run.running else "unfinished")


def _first_step(place: str) -> str:
    return "none yet, begin with: observability " + ("setup --observability" if place == "/" else "up")


def log_line(event: wire.Event) -> str:
    """Given a log event, return its line: time, unit and message."""
    seconds = event.data.get("time")
    stamp = moment(seconds) if isinstance(seconds, int | float) else ""
    # What goes on in a second line stands apart, so that it cannot be taken for the line of another unit.
    message = sanitize(event.message).replace("\n", f"\n{' ' * BELOW}")
    words = (stamp, paint(one_line(str(event.data.get("unit") or "")), "cyan"), message)
    return " ".join(word for word in words if word)
