"""A run over three real roots with real agents at the same time: what fails goes back alone, Ctrl-C reaches all."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping

import pytest

from crash.world import Generation, World, with_gate, world
from obstack.agent import wire
from obstack.cli.bug import keep_traceback
from obstack.cli.fleet import interruptible
from obstack.cli.fleet_progress import QuietFleetReporter
from obstack.edges.local_channel import LocalChannel
from obstack.operations.asking import ask
from obstack.operations.fleet import Fleet, Interruption, NodeResult, Pace, result_of
from obstack.plan.fleet import decide_waves
from obstack.ports import Channel, Contents

NAMES = ("web-1", "web-2", "web-3")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, World]]:
    """Three roots, each with a supervisor and the same small generation."""
    with contextlib.ExitStack() as stack:
        made = {name: stack.enter_context(world(tmp_path_factory.mktemp(name))) for name in NAMES}
        for each in made.values():
            each.apply(each.generation("one"))
        yield made


class Watcher(QuietFleetReporter):
    """Interrupts this very process, as a person does, once so many agents are at their gates."""

    def __init__(self, at_gates: int) -> None:
        self._missing = at_gates

    def event(self, node: str, event: wire.Event) -> None:
        """Count the agents whose gates have begun."""
        del node
        if (event.step, event.state) == ("gate", "started"):
            self._missing -= 1
            if self._missing == 0:
                os.kill(os.getpid(), signal.SIGINT)


def apply_to_all(
    worlds: Mapping[str, World], desired: Mapping[str, Generation], *, parallel: int, at_gates: int = -1
) -> dict[str, NodeResult[wire.Reply]]:
    """Apply what is desired to the roots, `parallel` at a time, and return the results."""
    interruption, reporter = Interruption(), Watcher(at_gates)

    def open_channel(name: str) -> Channel:
        return LocalChannel(name, str(worlds[name].root), worlds[name].cache)

    def work(name: str, channel: Channel) -> NodeResult[wire.Reply]:
        request = wire.Request("apply", manifest=desired[name].manifest, who="a test", wait_s=5)
        return result_of(name, ask(channel, request, reporter, contents=Contents(blobs=desired[name].blobs)))

    waves = decide_waves(NAMES, server="mon-1", canaries=(), batch="2")
    with interruptible(interruption):
        fleet = Fleet(open_channel, work, reporter, Pace(parallel, 0), interruption, keep_traceback)
        return {result.node: result for result in fleet.run(waves)}


def test_a_red_gate_sends_one_root_back_and_leaves_those_beside_it(worlds: Mapping[str, World]) -> None:
    before = {name: each.inspect().generation for name, each in worlds.items()}
    desired = {
        name: each.generation("two", gate="red" if name == "web-1" else "green") for name, each in worlds.items()
    }
    outcomes = {name: item.outcome for name, item in apply_to_all(worlds, desired, parallel=2).items()}
    assert outcomes == {"web-1": "rolled-back", "web-2": "committed", "web-3": "skipped"}
    assert worlds["web-1"].inspect().generation == before["web-1"]
    worlds["web-2"].assert_whole(desired["web-2"])
    assert worlds["web-3"].inspect().generation == before["web-3"]


def test_ctrl_c_reaches_every_agent_in_flight(worlds: Mapping[str, World]) -> None:
    before = {name: each.inspect().generation for name, each in worlds.items()}
    desired = {name: with_gate(each.generation("three", gate="red"), deadline_s=60) for name, each in worlds.items()}
    results = apply_to_all(worlds, desired, parallel=2, at_gates=2)
    assert {name: item.outcome for name, item in results.items()} == {
        "web-1": "rolled-back",
        "web-2": "rolled-back",
        "web-3": "skipped",
    }
    assert {results[name].exit_code for name in ("web-1", "web-2")} == {130}
    assert {name: each.inspect().generation for name, each in worlds.items()} == before
