"""What the agent says to a person when no controller does: the same lines that the controller prints off a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from obstack.agent import wire

MARKS = {"started": "…", "done": "ok", "failed": "FAILED"}
DETAIL_LINES = 20
LONGEST = 2_000
"""So many characters of one thing are shown."""


def sanitize(text: str) -> str:
    """Given text that came from a machine, return it with every control character but newline and tab made visible."""
    return "".join(
        character if character in "\n\t" or character.isprintable() else f"\\x{ord(character):02x}"
        for character in text
    )


def one_line(text: str) -> str:
    """Given text that came from a machine, return it as one clean line of bearable length.

    Where a line is expected, a second one could be taken for what this program says of another machine.
    """
    line = sanitize(text[:LONGEST]).replace("\n", " ").replace("\t", " ")
    return line if len(text) <= LONGEST else f"{line} …"


def event_line(node: str, event: wire.Event) -> str | None:
    """Given an event, return its line; None when it only repeats that something goes on."""
    if event.state == "progress":
        return None
    text = f"{node}: {event.step}{': ' + event.message if event.message else ''} {MARKS.get(event.state, event.state)}"
    return one_line(text)


def outcome_lines(node: str, reply: wire.Reply, seconds: float) -> list[str]:
    """Given the reply to a change, return what was done."""
    if reply.outcome == "failed":
        return []  # it did not begin; the error says all there is
    green = sum(gate.passed for gate in reply.gates)
    gates = f", {green} of {len(reply.gates)} gates green" if reply.gates else ""
    word = {"unchanged": "nothing to do"}.get(reply.outcome, reply.outcome.replace("-", " "))
    now = f"generation {reply.generation[:12]}" if reply.generation else "no generation"
    first = one_line(f"{node}: {word}, {now} is in force{gates} ({seconds:.1f} s)")
    return [first, *action_lines(reply.actions)] if reply.outcome == "committed" else [first]


def action_lines(actions: Iterable[wire.Action]) -> list[str]:
    """Given decisions about units, return a line for each unit that is acted on."""
    acted = [action for action in actions if action.action != "none"]
    return [one_line(f"  {action.action:<8} {action.unit}: {action.reason}") for action in acted]


def gate_lines(results: Iterable[wire.GateResult]) -> list[str]:
    """Given the results of gates, return a line for each."""
    return [
        one_line(f"  {'ok' if result.passed else 'FAILED':<8} {result.name}{': ' * bool(result.remark)}{result.remark}")
        for result in results
    ]


def fault_lines(fault: wire.Fault) -> list[str]:
    """Given a fault, return its lines in the form of the command contract."""
    lines = [f"error[{one_line(fault.code)}] {one_line(fault.what)}", f"  where: {one_line(fault.where)}"]
    if fault.state:
        lines.append(f"  state: {one_line(fault.state)}")
    if fault.detail:
        lines += [f"  | {one_line(line)}" for line in fault.detail.rstrip().split("\n")[-DETAIL_LINES:]]
    return [*lines, f"  do:    {one_line(fault.do)}"]
