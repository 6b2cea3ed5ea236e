"""The order of work over many nodes, with channels that are stand-ins for machines: only the scheduling is judged here.

What machines really do is shown by tests/machine/test_fleet.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.agent import wire
from obstack.errors import Bug, Lost, StackError, Unreachable
from obstack.operations.fleet import (
    SKIPPED,
    UNREACHABLE,
    Fleet,
    Interruption,
    NodeResult,
    Pace,
    result_of,
    summarize,
    unproven,
)
from obstack.plan.fleet import Wave, decide_waves
from obstack.ports import Contents

PATIENCE_S = 10.0
COMMITTED = wire.Reply("committed", "a" * 64)
RED = wire.Reply(
    "rolled-back", fault=wire.Fault(3, "gate-failed", "A gate stayed red.", "web-1", "observability apply")
)
LEFT_OFF = wire.Reply("rolled-back", fault=wire.Fault(130, "interrupted", "It was interrupted.", "web-1", "again"))


@dataclass
class StandIn:
    """A stand-in for a machine: it replies what was scripted, at once or when it is let go or interrupted."""

    node: str
    script: wire.Reply | Exception = COMMITTED
    held: threading.Event | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    interrupted: bool = False

    def ask(
        self,
        request: wire.Request,
        contents: Contents,
        on_event: Callable[[wire.Event], None],
    ) -> wire.Reply:
        self.asked.set()
        if self.held is not None:
            assert self.held.wait(PATIENCE_S)
        if self.interrupted:
            return LEFT_OFF
        if isinstance(self.script, Exception):
            raise self.script
        return self.script

    def interrupt(self) -> None:
        self.interrupted = True
        if self.held is not None:
            self.held.set()


class Notes:
    """Notes what is reported, as a reporter."""

    def __init__(self) -> None:
        self.waves: list[str] = []
        self.begun: list[str] = []
        self.over: list[tuple[str, str]] = []

    def event(self, node: str, event: wire.Event) -> None:
        del node, event

    def step(self, message: str) -> None:
        del message

    def progress(self, message: str, done: int, total: int) -> None:
        del message, done, total

    def wave(self, title: str, nodes: Sequence[str]) -> None:
        del nodes
        self.waves.append(title)

    def started(self, node: str) -> None:
        self.begun.append(node)

    def ended(self, node: str, outcome: str, message: str, *, good: bool) -> None:
        del message, good
        self.over.append((node, outcome))


def away(node: str) -> Unreachable:
    return Unreachable(code="unreachable", what=f"{node} did not answer.", where=node, do="ssh")


def defect(error: Exception) -> StackError:
    return Bug(code="bug", what=str(error), where="here", do="report it")


@dataclass
class Run:
    """A run over stand-ins that are made as needed; those named are scripted."""

    scripts: Mapping[str, wire.Reply | Exception] = field(default_factory=dict)
    pace: Pace = field(default_factory=lambda: Pace(parallel=2, max_failures=0))
    stand_ins: dict[str, StandIn] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)
    interruption: Interruption = field(default_factory=Interruption)
    results: list[NodeResult[wire.Reply]] = field(default_factory=list)

    def channel(self, node: str) -> StandIn:
        return self.stand_ins.setdefault(node, StandIn(node, self.scripts.get(node, COMMITTED)))

    def go(self, *waves: Wave) -> dict[str, str]:
        """Run the waves and return the outcomes by node."""
        fleet = Fleet(
            self.channel,
            lambda node, channel: result_of(node, channel.ask(wire.Request("apply"), Contents(), lambda _: None)),
            self.notes,
            self.pace,
            self.interruption,
            defect,
            on_end=self.results.append,
        )
        return {result.node: result.outcome for result in fleet.run(waves)}


BATCHES = (Wave("batch 1 of 2", ("web-1", "web-2")), Wave("batch 2 of 2", ("web-3",)), Wave("server", ("mon-1",)))


def test_waves_follow_each_other_and_every_node_ends() -> None:
    run = Run()
    assert run.go(*BATCHES) == dict.fromkeys(("web-1", "web-2", "web-3", "mon-1"), "committed")
    assert run.notes.waves == ["batch 1 of 2", "batch 2 of 2", "server"]
    assert set(run.notes.begun[:2]) == {"web-1", "web-2"}
    assert run.notes.begun[2:] == ["web-3", "mon-1"]


def test_one_failure_too_many_stops_the_run_and_what_follows_is_not_touched() -> None:
    run = Run({"web-2": RED})
    assert run.go(*BATCHES) == {"web-1": "committed", "web-2": "rolled-back", "web-3": SKIPPED, "mon-1": SKIPPED}
    assert not {"web-3", "mon-1"} & set(run.stand_ins)
    assert run.notes.waves == ["batch 1 of 2"]


def test_failures_that_are_allowed_do_not_stop_it() -> None:
    run = Run({"web-2": RED}, Pace(2, max_failures=1))
    outcomes = run.go(*BATCHES)
    assert (outcomes["web-2"], outcomes["web-3"], outcomes["mon-1"]) == ("rolled-back", "committed", "committed")


def test_a_canary_that_fails_stops_everything_however_many_failures_are_allowed() -> None:
    run = Run({"web-9": RED}, Pace(2, max_failures=100, canaries=frozenset({"web-9"})))
    outcomes = run.go(Wave("canary", ("web-9",)), *BATCHES)
    assert outcomes.pop("web-9") == "rolled-back"
    assert set(outcomes.values()) == {SKIPPED}
    assert set(run.stand_ins) == {"web-9"}


def test_a_machine_that_is_away_stops_nobody() -> None:
    run = Run({"web-1": away("web-1"), "web-9": away("web-9")}, Pace(2, 0, frozenset({"web-9"})))
    outcomes = run.go(Wave("canary", ("web-9",)), *BATCHES)
    assert (outcomes["web-9"], outcomes["web-1"]) == (UNREACHABLE, UNREACHABLE)
    assert (outcomes["web-2"], outcomes["web-3"], outcomes["mon-1"]) == ("committed", "committed", "committed")
    assert {result.node: result.exit_code for result in run.results}["web-1"] == 6


def test_a_machine_that_went_while_it_was_worked_on_counts_as_a_failure() -> None:
    """What cut it may be the change, which would cut the next one as well."""
    gone = Lost(code="connection-lost", what="web-9 went away.", where="web-9", do="ssh")
    run = Run({"web-9": gone}, Pace(2, max_failures=0, canaries=frozenset({"web-9"})))
    outcomes = run.go(Wave("canary", ("web-9",)), *BATCHES)
    assert outcomes.pop("web-9") == UNREACHABLE
    assert set(outcomes.values()) == {SKIPPED}
    assert run.results[0].exit_code == 6


def test_nodes_in_flight_finish_when_another_fails() -> None:
    run = Run({"web-1": RED}, Pace(2, 0))
    slow = run.stand_ins["web-2"] = StandIn("web-2", held=threading.Event())
    letting_go = threading.Thread(target=lambda: slow.asked.wait(PATIENCE_S) and _set(slow.held))
    letting_go.start()
    outcomes = run.go(Wave("hosts", ("web-1", "web-2", "web-3")))
    letting_go.join()
    assert outcomes["web-2"] == "committed"
    assert not slow.interrupted


def _set(event: threading.Event | None) -> bool:
    assert event is not None
    event.set()
    return event.is_set()


def test_an_interruption_reaches_those_in_flight_and_begins_no_more() -> None:
    run = Run(pace=Pace(2, 0))
    working = [StandIn(name, held=threading.Event()) for name in ("web-1", "web-2")]
    run.stand_ins |= {stand_in.node: stand_in for stand_in in working}

    def interrupt() -> None:
        assert all(stand_in.asked.wait(PATIENCE_S) for stand_in in working)
        run.interruption.wish()

    person = threading.Thread(target=interrupt)
    person.start()
    outcomes = run.go(*BATCHES)
    person.join()
    assert outcomes == {"web-1": "rolled-back", "web-2": "rolled-back", "web-3": SKIPPED, "mon-1": SKIPPED}
    assert {result.exit_code for result in run.results if result.outcome == "rolled-back"} == {130}


def test_nothing_is_begun_after_an_interruption() -> None:
    run = Run()
    run.interruption.wish()
    assert set(run.go(*BATCHES).values()) == {SKIPPED}
    assert run.stand_ins == {}


def test_a_defect_that_one_node_brings_to_light_leaves_the_others_alone() -> None:
    run = Run({"web-1": ValueError("an unforeseen answer")}, Pace(2, 1))
    outcomes = run.go(*BATCHES)
    assert (outcomes["web-1"], outcomes["mon-1"]) == ("failed", "committed")
    assert {result.node: result.exit_code for result in run.results}["web-1"] == 70


@given(
    st.lists(st.sampled_from(["good", "red", "away"]), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(0, 3),
    st.integers(1, 6),
)
def test_whatever_fails_every_node_has_one_result_and_few_more_fail_than_may(
    fates: list[str], parallel: int, max_failures: int, batch: int
) -> None:
    hosts = [f"web-{number}" for number in range(len(fates))]
    scripts = {
        name: RED if fate == "red" else away(name) for name, fate in zip(hosts, fates, strict=True) if fate != "good"
    }
    run = Run(scripts, Pace(parallel, max_failures))
    waves = decide_waves([*hosts, "mon-1"], server="mon-1", canaries=(), batch=str(batch))
    outcomes = run.go(*waves)
    assert list(outcomes) == [*hosts, "mon-1"]
    assert len(run.results) == len(outcomes)
    failed = sum(result.failed for result in run.results)
    assert failed <= max_failures + min(parallel, batch)  # those in flight finish
    assert (failed > max_failures) == (outcomes["mon-1"] == SKIPPED)
    assert set(run.stand_ins) == {name for name, outcome in outcomes.items() if outcome != SKIPPED}


def test_no_more_nodes_than_wished_are_worked_on_at_the_same_time() -> None:
    run = Run(pace=Pace(2, 0))
    names = tuple(f"web-{number}" for number in range(5))
    stand_ins = [StandIn(name, held=threading.Event()) for name in names]
    run.stand_ins |= {stand_in.node: stand_in for stand_in in stand_ins}
    seen: list[int] = []

    def let_go() -> None:
        for number, stand_in in enumerate(stand_ins):
            assert stand_in.asked.wait(PATIENCE_S)
            seen.append(sum(other.asked.is_set() for other in stand_ins) - number)
            _set(stand_in.held)

    person = threading.Thread(target=let_go)
    person.start()
    run.go(Wave("hosts", names))
    person.join()
    assert max(seen) <= 2


def test_only_hosts_that_were_brought_to_their_generation_are_proven() -> None:
    results = [
        result_of("web-1", COMMITTED),
        result_of("web-2", RED),
        NodeResult[wire.Reply]("web-3", UNREACHABLE, error=away("web-3")),
        result_of("web-4", wire.Reply("unchanged")),
    ]
    hosts = [f"web-{number}" for number in range(1, 7)]
    assert unproven(hosts, results, done=("web-5",)) == ("web-2", "web-3", "web-6")


def test_the_summary_counts_outcomes_good_ones_first() -> None:
    results = [result_of("web-2", RED), result_of("web-1", COMMITTED), result_of("web-3", COMMITTED)]
    assert list(summarize(results).items()) == [("committed", 2), ("rolled-back", 1)]


@pytest.mark.parametrize("parallel", [1, 3])
def test_results_are_told_one_after_the_other_in_one_thread(parallel: int) -> None:
    threads: set[int] = set()
    run = Run(pace=Pace(parallel, 0))
    fleet = Fleet(
        run.channel,
        lambda node, channel: result_of(node, channel.ask(wire.Request("apply"), Contents(), lambda _: None)),
        run.notes,
        run.pace,
        run.interruption,
        defect,
        on_end=lambda _: threads.add(threading.get_ident()),
    )
    fleet.run(BATCHES)
    assert threads == {threading.get_ident()}
