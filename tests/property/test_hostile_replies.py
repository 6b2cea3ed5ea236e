"""Whatever a host answers, each verb ends in a result or in an error of ours, and what is shown is only text."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile.effort import effort
from hostile.words import FORGED, JSON, TEXTS, drives_a_terminal, forges
from obstack.agent import telling, wire
from obstack.agent.services import UnitState
from obstack.catalog.lock import Platform
from obstack.catalog.modules import ModuleSet
from obstack.cli import fleet_views, views
from obstack.cli.conclude import reply_document
from obstack.cli.host.looking import detection_lines
from obstack.cli.output import error_lines, print_json, print_line
from obstack.cli.progress import PlainReporter, QuietReporter
from obstack.errors import StackError
from obstack.operations import asking, detect, generations, inspection
from obstack.operations.desired import Desired
from obstack.operations.fleet import NodeResult, result_of
from obstack.operations.host_check import check_host
from obstack.operations.plan import make_plan
from obstack.plan.facts import FORMS
from obstack.ports import Contents
from rendering.hosts import fleet_site, modules

pytestmark = pytest.mark.security
QUIET = QuietReporter()


@dataclass
class Liar:
    """The channel to a host that answers every request with one reply. Implements ports.Channel."""

    reply: wire.Reply
    node: str = "web-1"

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        del request, contents, on_event
        return self.reply

    def interrupt(self) -> None:
        """There is nothing to leave off."""


class Clock:
    def now(self) -> float:
        return 1_000_000.0


def lies(hint: Any) -> st.SearchStrategy[Any]:
    """Given a type of the wire, return values of it in which every text and number is the attacker's."""
    if hint is Any:
        return JSON
    if hint is str:
        return TEXTS
    if hint is int:
        return st.integers(-(2**63), 2**63)
    if hint is float:
        return st.floats(-(2.0**63), 2.0**63)
    if hint is bool:
        return st.booleans()
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        made = {field.name: lies(hints[field.name]) for field in dataclasses.fields(hint) if field.name != "type"}
        return st.builds(hint, **made)
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        return st.lists(lies(arguments[0]), max_size=2).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(TEXTS, lies(arguments[1]), max_size=3)
    return st.one_of(*(st.none() if option is type(None) else lies(option) for option in arguments))


@st.composite
def inspections(draw: st.DrawFn) -> dict[str, Any]:
    facts = [draw(FACTS[name]) for name in draw(st.lists(st.sampled_from(sorted(FORMS)), max_size=6))]
    return {
        "manifest": draw(st.none() | MANIFESTS.map(wire.encode)),
        "units": [wire.encode(item) for item in draw(st.lists(lies(UnitState), max_size=2))],
        "transactions": [wire.encode(item) for item in draw(st.lists(lies(inspection.Run), max_size=2))],
        "facts": [wire.encode(fact) for fact in facts],
        "generations": [wire.encode(item) for item in draw(st.lists(lies(generations.Generation), max_size=2))],
        "from": wire.encode(draw(MANIFESTS)),
        "to": wire.encode(draw(MANIFESTS)),
        "contents": draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
        "removed": draw(st.lists(TEXTS, max_size=2)),
        "sightings": [wire.encode(item) for item in draw(st.lists(SIGHTINGS, max_size=3))],
        "kept": draw(JSON | st.lists(st.fixed_dictionaries({"unit": TEXTS, "what": TEXTS, "path": TEXTS}), max_size=2)),
        "transaction": draw(JSON),
    }


def told(name: str, form: type[Any]) -> st.SearchStrategy[wire.Fact]:
    """Given a fact's name and form, return facts with values of that form and of any other."""
    fitting = lies(form).map(lambda held: wire.encode(held)["value"])
    return st.builds(wire.Fact, st.just(name), st.just("known"), JSON | fitting)


FACTS = {name: told(name, form) for name, form in FORMS.items()}
MANIFESTS = lies(wire.Manifest)
SIGHTINGS = lies(wire.Sighting)
FAULTS = st.none() | st.builds(
    wire.Fault, st.sampled_from([1, 2, 3, 4, 5, 70, 130]), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS
)
REPLIES = st.builds(
    wire.Reply,
    st.sampled_from(wire.OUTCOMES),
    st.none() | TEXTS,
    st.none() | TEXTS,
    lies(tuple[wire.Action, ...]),
    lies(tuple[wire.Drift, ...]),
    lies(tuple[wire.GateResult, ...]),
    FAULTS,
    inspections() | st.dictionaries(st.sampled_from(["manifest", "units", "generations", "facts", "from"]), JSON),
)


def shown(lines: Iterable[str]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for line in lines:
            print_line(line)
    return out.getvalue()


def demand_text(text: str) -> None:
    assert not drives_a_terminal(text), repr(text)
    assert not forges(text), repr(text)


def errors(error: StackError) -> None:
    demand_text(shown(error_lines(error, stream=io.StringIO())))
    demand_text(shown(fleet_views.trouble_lines([NodeResult[Any]("web-1", "failed", error=error)])))
    demand_text(shown(fleet_views.fleet_status_lines([NodeResult("web-1", "failed", error=error)], 0.0)))


@effort(40)
@given(REPLIES)
def test_each_verb_ends_in_a_result_or_in_an_error_of_ours(reply: wire.Reply) -> None:
    known: ModuleSet = modules()
    liar = Liar(reply)
    platform = Platform("trixie", "amd64")

    def planned() -> list[str]:
        small = wire.Manifest("web-1", "monitored-host", "systemd")
        plan = make_plan(liar, Desired(fleet_site(), small, Contents()), QUIET)
        result = [NodeResult("web-1", "ok", plan)]
        many = fleet_views.fleet_plan_lines(result * 9, verbose=False, diffs=True)
        return [*fleet_views.fleet_plan_lines(result, verbose=True, diffs=True), *many]

    def status() -> list[str]:
        seen = inspection.inspect(liar, QUIET)
        assert seen.node == "web-1"  # no machine tells under whose name it is shown
        ok = NodeResult("web-1", "ok", seen)
        many = [*fleet_views.fleet_status_lines([ok], 0.0), *fleet_views.fleet_drift_lines([ok])]
        listed = [] if seen.manifest is None else views.manifest_lines(seen.manifest)
        return [*views.status_lines(seen, "/", "the test", 0.0), *many, *listed]

    verbs: tuple[Callable[[], Iterable[str]], ...] = (
        status,
        planned,
        lambda: views.generation_table(generations.list_generations(liar, QUIET), 0.0),
        lambda: views.manifest_lines(generations.show_generation(liar, "a", QUIET)),
        lambda: views.difference_lines(
            generations.compare_generations(liar, "a", "b", QUIET), diffs=True, additions=True
        ),
        lambda: map(views.short, generations.prune_generations(liar, 1, QUIET, who="")),
        lambda: detection_lines(detect.detect(liar, known, QUIET), "web-1"),
        lambda: views.finding_lines(check_host(liar, fleet_site(), known, "web-1", platform, Clock(), QUIET)),
    )
    for verb in verbs:
        try:
            demand_text(shown(verb()))
        except StackError as error:
            errors(error)


@effort(40)
@given(REPLIES)
def test_the_end_of_a_change_is_shown_as_text(reply: wire.Reply) -> None:
    result = result_of("web-1", reply)
    fleet = fleet_views.fleet_outcome_lines([result], 1.0)
    demand_text(shown([*views.outcome_lines("web-1", reply, 1.0), *fleet]))
    demand_text(shown(views.gate_lines("web-1", reply.gates, reply.generation, verbose=True)))
    demand_text(shown(telling.outcome_lines("web-1", reply, 1.0) + telling.gate_lines(reply.gates)))
    if reply.fault is not None:
        demand_text(shown(telling.fault_lines(reply.fault)))
        errors(asking.error_of(reply.fault))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_json(reply_document("web-1", reply, 1.0))
    assert out.getvalue().isascii()
    json.loads(out.getvalue())


@effort(60)
@given(lies(wire.Event))
def test_progress_and_lines_of_logs_are_text(event: wire.Event) -> None:
    out = io.StringIO()
    reporter = PlainReporter(out)
    reporter.event("web-1", event)
    reporter.event("web-1", dataclasses.replace(event, state="failed"))
    demand_text(out.getvalue())
    demand_text(shown([views.log_line(event), telling.event_line("web-1", event) or ""]))


def test_a_line_that_was_forged_would_be_noticed() -> None:
    assert forges(f"web-1: down\n{FORGED}")
    assert drives_a_terminal("\x1b[2J")
