"""Results of many nodes as lines for people. Given values, return lines; nothing here prints, asks or decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from obstack.agent import wire
from obstack.cli.output import one_line, paint, table
from obstack.cli.views import ACTION_COLOUR, closing_lines, count, drift_table, gate_lines, plan_lines, short, since
from obstack.operations.fleet import (
    BY_BUNDLE,
    DONE_BEFORE,
    INTERRUPTED,
    SKIPPED,
    UNREACHABLE,
    NodeResult,
    T,
    summarize,
)
from obstack.operations.inspection import Inspection
from obstack.plan.explain import Plan

COLOUR: Final = {
    "committed": "green",
    "unchanged": "green",
    "healthy": "green",
    DONE_BEFORE: "green",
    SKIPPED: "yellow",
    BY_BUNDLE: "yellow",
    UNREACHABLE: "yellow",
    "rolled-back": "yellow",
    INTERRUPTED: "yellow",
}
FEW: Final = 3
"""So many nodes are few enough to show the whole plan of each."""
NAMES_SHOWN: Final = 12


def outcome_word(outcome: str) -> str:
    """Given an outcome, return it as people read it."""
    return outcome.replace("-", " ")


def names_text(names: Sequence[str]) -> str:
    """Given names, return the first of them and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def summary_text(counts: Mapping[str, int]) -> str:
    """Given how many nodes there are of each outcome, return them in one line."""
    return ", ".join(f"{number} {outcome_word(outcome)}" for outcome, number in counts.items())


# ------------------------------------------------------------------------------------------------------------ plan


def fleet_plan_lines(results: Sequence[NodeResult[Plan]], *, verbose: bool, diffs: bool) -> list[str]:
    """Given the plans, return them: whole for few nodes or with `verbose`, else one entry for all that are alike."""
    plans = [result.value for result in results if result.value is not None]
    changing = [plan for plan in plans if not plan.empty]
    lines = [paint(_plan_title(results, len(changing)), bold=True)]
    whole = verbose or len(changing) <= FEW
    for alike in _alike(changing):
        lines += ["", *(_whole(alike, diffs=diffs, additions=verbose) if whole else _brief(alike))]
    same = [plan.node for plan in plans if plan.empty]
    if same:
        lines += ["", f"as configured: {names_text(same)}"]
    return [*lines, *_apart(results)]


def _plan_title(results: Sequence[NodeResult[Plan]], changing: int) -> str:
    return f"Plan for {count(len(results), 'node')}: " + (
        f"{changing} would change" if changing else "nothing would change"
    )


def _alike(plans: Iterable[Plan]) -> list[list[Plan]]:
    found: dict[object, list[Plan]] = {}
    for plan in plans:
        found.setdefault(plan.likeness, []).append(plan)
    return list(found.values())


def _whole(alike: Sequence[Plan], *, diffs: bool, additions: bool) -> list[str]:
    first, *others = alike
    lines = plan_lines(first, diffs=diffs, additions=additions)
    return [*lines, "", f"the same change: {names_text([plan.node for plan in others])}"] if others else lines


def _brief(alike: Sequence[Plan]) -> list[str]:
    names = [plan.node for plan in alike]
    same = f" ({count(len(names), 'node')}: same change)" if len(names) > 1 else ""
    # Who is cut off is told whatever else is left out.
    closings = [line for plan in alike for line in closing_lines(plan.closings)]
    return [paint(names_text(names), bold=True) + same, f"  {plan_text(alike[0])}", *closings]


def plan_text(plan: Plan) -> str:
    """Given a plan, return it in one line: how much changes, and what is done to units."""
    difference = plan.difference
    parts = [
        count(len(items), noun)
        for items, noun in (
            (difference.files, "file"),
            (difference.artifacts, "artifact"),
            (difference.outward, "thing outside"),
            (difference.proofs, "check or gate"),
        )
        if items
    ]
    parts += [f"{count(len(plan.drift), 'difference')} to heal"] if plan.drift else []
    acts: dict[str, list[str]] = {}
    for action in plan.acting:
        acts.setdefault(action.action, []).append(action.unit)
    parts += [
        paint(action, ACTION_COLOUR.get(action)) + one_line(f" {', '.join(units)}") for action, units in acts.items()
    ]
    return "; ".join(parts) or "nothing but its record"


def _apart(results: Iterable[NodeResult[T]]) -> list[str]:
    """Return a line for each node that has no result, with the reason."""
    lines = []
    for result in results:
        if result.outcome == BY_BUNDLE:
            lines.append(f"{result.node}: by bundle; observability host bundle {result.node} -o {result.node}.bundle")
        elif result.value is None and result.error is not None:
            lines.append(f"{paint(result.node, 'yellow')}: {one_line(result.error.what)}")
            lines.append(f"  do: {one_line(result.error.do)}")
    return ["", *lines] if lines else []


# ----------------------------------------------------------------------------------------------------------- apply


def fleet_outcome_lines(results: Sequence[NodeResult[wire.Reply]], seconds: float) -> list[str]:
    """Given how an apply ended for each node, return a table, what is wrong where, and the sum in one line."""
    rows = [_outcome_row(result) for result in results]
    lines = table(rows, header=("node", "outcome", "generation", "units acted on", "seconds"))
    coloured = [lines[0], *(_paint_word(line, result) for line, result in zip(lines[1:], results, strict=True))]
    return [*coloured, *trouble_lines(results), "", f"{summary_text(summarize(results))} ({seconds:.1f} s)"]


def _outcome_row(result: NodeResult[wire.Reply]) -> tuple[str, ...]:
    reply = result.value
    acted = [action.unit for action in reply.actions if action.action != "none"] if reply else []
    done = reply is not None and reply.outcome == "committed"
    return (
        result.node,
        outcome_word(result.outcome),
        short(reply.generation) if reply else "",
        ", ".join(acted) if done else "",
        f"{result.seconds:.1f}" if result.seconds else "",
    )


def _paint_word(line: str, result: NodeResult[T]) -> str:
    word = outcome_word(result.outcome)
    colour = COLOUR.get(result.outcome, "red" if result.error else None)
    head, found, rest = line[len(result.node) :].partition(word)
    return line[: len(result.node)] + head + paint(found, colour) + rest


def trouble_lines(results: Iterable[NodeResult[T]]) -> list[str]:
    """Given results, return for each node in trouble what happened, its state, and what to type."""
    lines: list[str] = []
    for result in results:
        if result.error is None:
            continue
        error = result.error
        lines += ["", paint(f"{result.node}: [{one_line(error.code)}]", "red", bold=True) + f" {one_line(error.what)}"]
        lines += [f"  where: {one_line(error.where)}"]
        lines += [f"  state: {one_line(error.state)}"] if error.state else []
        lines += [f"  do:    {one_line(error.do)}"]
    return lines


# --------------------------------------------------------------------------------------------------------- reading


def fleet_health_lines(results: Sequence[NodeResult[wire.Reply]], *, verbose: bool) -> list[str]:
    """Given the health of nodes, return the red gates of each, and one verdict for each."""
    lines: list[str] = []
    for result in results:
        if result.value is not None and result.value.gates:
            lines += gate_lines(result.node, result.value.gates, result.value.generation, verbose=verbose)
        elif result.error is not None:
            lines.append(f"{result.node}: {paint(one_line(result.error.what), 'red')}")
            lines.append(f"  do: {one_line(result.error.do)}")
    well = sum(result.error is None and result.value is not None for result in results)
    return [*lines, f"{well} of {count(len(results), 'node')} healthy"]


def fleet_status_lines(results: Sequence[NodeResult[Inspection]], now: float) -> list[str]:
    """Given one look at each node, return a line for each: generation, units, drift, and the last run."""
    rows = [
        (result.node, *(_status(result.value, now) if result.value else (outcome_word(result.outcome),)))
        for result in results
    ]
    return [*table(rows, header=("node", "generation", "units", "drift", "last run")), *_apart(results)]


def _status(inspection: Inspection, now: float) -> tuple[str, ...]:
    boot_only = {unit.name for unit in inspection.manifest.units if unit.boot_only} if inspection.manifest else set()
    units = [unit for unit in inspection.units if unit.name not in boot_only]
    running = sum(unit.running for unit in units)
    run = inspection.transactions[0] if inspection.transactions else None
    return (
        short(inspection.generation),
        f"{running} of {len(units)} run" if units else "",
        count(len(inspection.drift), "difference") if inspection.drift else "none",
        f"{run.verb} {run.outcome or 'unfinished'}, {since(run, now)}" if run else "",
    )


def fleet_drift_lines(results: Sequence[NodeResult[Inspection]]) -> list[str]:
    """Given one look at each node, return how each differs from its generation."""
    lines: list[str] = []
    for result in results:
        if result.value is None:
            continue
        drift = result.value.drift
        word = count(len(drift), "difference") if drift else "no drift"
        place = f"{word} from generation {short(result.value.generation)}"
        lines.append(f"{result.node}: {place if result.value.generation else 'no generation is in force'}")
        lines += [f"  {line}" for line in drift_table((*drift, *result.value.additions))]
    return [*lines, *_apart(results)]


def fleet_document(
    results: Sequence[NodeResult[T]], documents: Mapping[str, Mapping[str, Any]], exit_code: int
) -> dict[str, Any]:
    """Given the results, what is to be told of each node beside its outcome, and the exit code, return the document."""
    return {
        "nodes": [
            {
                "node": result.node,
                "outcome": result.outcome,
                **documents.get(result.node, {}),
                "seconds": round(result.seconds, 3),
                **({"error": result.error.to_json()} if result.error else {}),
            }
            for result in results
        ],
        "summary": summarize(results),
        "exit_code": exit_code,
    }
