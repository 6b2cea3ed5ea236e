"""SIGKILL at every durable step of every verb; then recovery, and the old or the new generation, whole.

The steps are not listed here: each scenario is run once with the agent noting the steps it passes, and then once for
every step. A last test compares what was passed with the steps found in the source.
"""

from __future__ import annotations

import ast
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import obstack.agent
from crash.world import Generation, World
from obstack.agent import record
from obstack.agent.history import KEPT_RUNS

AGENT = Path(str(obstack.agent.__file__)).parent

ELSEWHERE = {"user", "purge-user", "queue-units"}
"""These change the machine's own users or wait for its boot; the machine tests cut the power there."""

OF_THE_FIREWALL = {f"firewall-{step}" for step in ("note", "load", "add", "remove", "seen", "withdraw", "forget")}
"""These need the machine's own rules; tests/machine/test_firewall.py kills at each."""

passed: set[str] = set()


@dataclass(frozen=True)
class Scenario:
    """From `before` (None: an empty machine), run `verb`; afterwards the machine must be one of `allowed`."""

    before: Generation | None
    verb: str
    generation: Generation | None
    allowed: tuple[Generation | None, ...]
    params: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[World], None] | None = None


def first(world: World, turn: str) -> Scenario:
    one = world.generation(turn)
    return Scenario(None, "apply", one, (None, one))


def upgrade(world: World, turn: str) -> Scenario:
    one, two = world.generation("one"), upgraded(world, turn)
    return Scenario(one, "apply", two, (one, two))


def upgraded(world: World, turn: str, gate: str = "green") -> Generation:
    """Another program, another data format, a unit that leaves and one that comes."""
    return world.generation(turn, version=f"2-{turn}", units=("alpha", "gamma"), data_format=turn, gate=gate)


def taken_back(world: World, turn: str) -> Scenario:
    one = world.generation("one")
    return Scenario(one, "apply", upgraded(world, turn, "red"), (one,))


def rollback(world: World, turn: str) -> Scenario:
    one, two = world.generation("one"), upgraded(world, turn)
    world.apply(one)
    return Scenario(two, "rollback", None, (one, two), {"to": one.identity})


def rollback_taken_back(world: World, turn: str) -> Scenario:
    red, two = world.generation(f"red {turn}", gate="red"), upgraded(world, turn)
    world.apply(world.generation("one"))
    world.ask("apply", red)  # refused by its gate, but its tree is kept
    return Scenario(two, "rollback", None, (two,), {"to": red.identity})


def healing(world: World, turn: str) -> Scenario:
    one = world.generation("one")

    def spoil(world: World) -> None:
        (world.root / "etc/alpha/alpha.conf").write_text(f"edited by hand {turn}\n")
        (world.root / "etc/alpha/secret").chmod(0o644)
        (world.root / "etc/beta").unlink()

    return Scenario(one, "apply", one, (one,), spoil=spoil)


def prune(world: World, turn: str) -> Scenario:
    one, two, three = world.generation("one"), upgraded(world, turn), upgraded(world, f"{turn}-again")
    start_over(world)
    for number in range(1, KEPT_RUNS + 2):  # so that old runs are dropped as well
        (world.state / f"transactions/{number:06d}-20260101T000000Z").mkdir(parents=True)
    for generation in (one, two, one):  # the copy in the format of `one` is of use no longer once `one` is dropped
        world.apply(generation)
    return Scenario(three, "prune", None, (three,), {"keep": 1})


def uninstall(world: World, turn: str) -> Scenario:
    one = world.generation(turn)
    return Scenario(one, "uninstall", None, (one, None), {"purge": False})


def purge(world: World, turn: str) -> Scenario:
    one = world.generation(turn)
    return Scenario(one, "uninstall", None, (one, None), {"purge": True})


WHOLE = (first, upgrade, rollback)
"""Killed at every step."""

OTHERS = (rollback_taken_back, healing, prune, uninstall, purge)
"""Killed at the steps that no scenario before has passed."""

turns = itertools.count(1)


def start_over(world: World) -> None:
    """Empty the machine: a prune has dropped what the way back to an older data format needs, as it should."""
    assert world.ask("uninstall", purge=True).fault is None


def prepare(world: World, make: Callable[[World, str], Scenario]) -> Scenario:
    """Bring the machine to where the scenario begins, with contents that it has never seen."""
    scenario = make(world, f"turn{next(turns)}")
    if scenario.before is None:
        start_over(world)
    else:
        reply = world.ask("apply", scenario.before)
        assert reply.fault is None, reply.fault
        for unit in {"beta", "gamma"} - set(scenario.before.loaded):
            shutil.rmtree(world.data(unit), ignore_errors=True)  # so that its directory is made each time
    if scenario.spoil:
        scenario.spoil(world)
    return scenario


def trace(world: World, make: Callable[[World, str], Scenario]) -> list[str]:
    scenario = prepare(world, make)
    points = world.trace(scenario.verb, scenario.generation, **scenario.params)
    assert points
    return points


def kill(world: World, make: Callable[[World, str], Scenario], point: str) -> None:
    scenario = prepare(world, make)
    assert world.crash(point, scenario.verb, scenario.generation, **scenario.params), f"{point} was not passed"
    try:
        if scenario.spoil:
            reply = world.ask("apply", scenario.before)
            assert reply.fault is None, reply.fault
        world.assert_whole(*scenario.allowed)
    except AssertionError as error:
        raise AssertionError(f"after a kill at {point}: {error}") from error


def once(points: list[str]) -> list[str]:
    return [point for point in points if point.endswith(":1")]


def names(points: list[str]) -> set[str]:
    return {re.sub(r"^(act|acted)-.*", r"\1-*", point.partition(":")[0]) for point in points}


@pytest.mark.parametrize("make", WHOLE, ids=lambda make: make.__name__)
def test_a_kill_at_any_step(shared: World, make: Callable[[World, str], Scenario]) -> None:
    points = trace(shared, make)
    for point in once(points):
        kill(shared, make, point)
    passed.update(names(points))


def test_a_kill_at_any_step_of_the_way_back(shared: World) -> None:
    points = trace(shared, taken_back)
    way_back = points[points.index("record-before-rolling-back:1") :]
    for point in {point.partition(":")[0]: point for point in way_back}.values():
        kill(shared, taken_back, point)
    passed.update(names(points))


@pytest.mark.parametrize("make", OTHERS, ids=lambda make: make.__name__)
def test_a_kill_at_the_steps_of_other_verbs(shared: World, make: Callable[[World, str], Scenario]) -> None:
    points = trace(shared, make)
    for point in once(points):
        if not names([point]) <= passed:
            kill(shared, make, point)
    passed.update(names(points))
    start_over(shared)


@pytest.mark.parametrize("died_at", ["record-before-switching:1", "acted-gamma:1", "record-after-gated:1"])
def test_a_kill_in_the_middle_of_recovery(shared: World, died_at: str) -> None:
    one = shared.generation("one")

    def die() -> Generation:
        shared.ask("apply", one)
        two = upgraded(shared, f"turn{next(turns)}")
        assert shared.crash(died_at, "apply", two)
        return two

    die()
    points = shared.trace("recover")
    passed.update(names(points))
    for point in once(points):
        two = die()
        assert shared.crash(point, "recover"), point
        shared.assert_whole(two if died_at.startswith("record-after-gated") else one)


@pytest.mark.security
def test_a_kill_while_a_torn_line_of_the_audit_log_is_cut(shared: World) -> None:
    one = shared.generation("one")
    shared.apply(one)
    log = shared.state / "audit.jsonl"
    with log.open("ab") as stream:
        stream.write(b'{"sequence":')
    two = upgraded(shared, f"turn{next(turns)}")
    assert shared.crash("audit-cut", "apply", two)
    passed.add("audit-cut")
    assert log.read_bytes().endswith(b'{"sequence":')
    shared.assert_whole(two)
    last = shared.audited()[-1]
    assert (last.outcome, last.after) == ("committed", two.identity)
    start_over(shared)


def test_every_step_of_the_source_was_killed_at() -> None:
    assert passed, "this test judges what the others in this file have passed: run them all"
    assert set(steps_of_the_source()) - ELSEWHERE - OF_THE_FIREWALL - passed == set()


def test_every_step_says_what_recovery_does() -> None:
    missing = []
    for path in sorted(AGENT.glob("*.py")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if "crash_point(" in line and "def crash_point" not in line:
                above = number - 1
                while lines[above].lstrip().startswith("#") and "Crash here:" not in lines[above]:
                    above -= 1
                if "# Crash here:" not in lines[above]:
                    missing.append(f"{path.name}:{number + 1}")
    assert missing == []


def steps_of_the_source() -> Iterator[str]:
    """The names of all crash points in the source; those that are made of a unit's name end in `*`."""
    recorded: set[str] = set()
    for path in AGENT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                called, argument = ast.unparse(node.func), node.args[0]
                text = str(argument.value) if isinstance(argument, ast.Constant) else ast.unparse(argument)[2:-1]
                if called.endswith("writer.append"):
                    recorded.add(text)
                elif called.endswith("crash_point") and not text.startswith("record-"):
                    yield re.sub(r"\{.*\}", "*", text)
    for step in recorded - {"rollback-failed"}:  # after it a person acts; the next run finds nothing to recover
        yield f"record-before-{step}"
        yield f"record-after-{step}"
    assert {"switching", "acting", "gated", "committed"} <= recorded
    assert set(record.TERMINAL) <= recorded
