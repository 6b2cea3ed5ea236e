"""Whatever happens in whatever order, the committed generation is whole: files, links, units and running processes."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from crash.world import Generation, World, world
from obstack.agent import wire

POINTS = st.sampled_from(
    (
        "blob",
        "artifact",
        "tree",
        "tree-renamed",
        "record-before-begin",
        "record-after-begin",
        "record-after-switching",
        "snapshot",
        "ledger",
        "flip",
        "flipped",
        "outward-link",
        "outward-unit",
        "outward-remove",
        "reload-definitions",
        "record-after-acting",
        "record-before-gated",
        "record-after-gated",
        "record-after-rolling-back",
        "restore-aside",
        "restore-place",
    )
)


class Transactions(RuleBasedStateMachine):
    """Applies, refusals, red gates, rollbacks, hand edits, prunes and crashes; `current` is what must be in force."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = Path(self.resources.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        self.world: World = self.resources.enter_context(world(folder))
        self.current: Generation | None = None
        self.kept: list[Generation] = []
        self.edited = False

    def teardown(self) -> None:
        self.resources.close()

    def make(self, number: int, gate: str = "green") -> Generation:
        """One of a few generations, so that they come again: other words, other programs, other units, other data."""
        units = ("alpha", "beta") if number % 2 else ("alpha", "gamma")
        return self.world.generation(f"word {number}", version=number % 3, units=units, gate=gate)

    @rule(number=st.integers(0, 3))
    def apply(self, number: int) -> None:
        wanted = self.make(number)
        same = self.current is not None and wanted.identity == self.current.identity and not self.edited
        reply = self.world.ask("apply", wanted)
        assert reply.fault is None, reply.fault
        assert reply.outcome == ("unchanged" if same else "committed")
        self._committed(wanted)

    @rule(number=st.integers(0, 3))
    def apply_red(self, number: int) -> None:
        reply = self.world.ask("apply", self.make(number, "red"))
        assert reply.fault is not None and (reply.outcome, reply.fault.exit_code) == ("rolled-back", 3)
        self.edited = False

    @rule(number=st.integers(0, 3), point=POINTS, gate=st.sampled_from(("green", "red")))
    def apply_and_crash(self, number: int, point: str, gate: str) -> None:
        wanted = self.make(number, gate)
        died = self.world.crash(point, "apply", wanted)
        in_force = self.world.inspect().generation
        if gate == "green" and in_force == wanted.identity:
            assert not died or point == "record-after-gated" or self.current is wanted or self._is_current(wanted)
            self._committed(wanted)
        else:
            assert in_force == (self.current.identity if self.current else None)
        if died and self.current is not None:
            # What a crash left undone of a healing is drift, and healed by the next apply of what is in force.
            assert self.world.ask("apply", self.current).fault is None
        self.edited = False if died or gate == "red" or in_force == wanted.identity else self.edited

    @precondition(lambda self: len(self.kept) > 1)
    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        goal = data.draw(st.sampled_from(self.kept))
        reply = self.world.ask("rollback", to=goal.identity)
        assert reply.fault is None, reply.fault
        self._committed(goal)

    @precondition(lambda self: self.current is not None)
    @rule()
    def edit_by_hand(self) -> None:
        (self.world.root / "etc/alpha/alpha.conf").write_text("edited by hand\n")
        kinds: set[str] = {item.kind for item in self.world.inspect().drift}
        assert kinds == {"file-changed"}
        self.edited = True

    @precondition(lambda self: self.current is not None)
    @rule(keep=st.integers(1, 3))
    def prune(self, keep: int) -> None:
        reply = self.world.ask("prune", keep=keep)
        assert reply.fault is None
        removed = set(reply.data["removed"])
        assert self.current is not None and self.current.identity not in removed
        self.kept = [generation for generation in self.kept if generation.identity not in removed]

    @invariant()
    def the_committed_generation_is_whole(self) -> None:
        if not self.edited:
            self.world.assert_whole(self.current)

    def _committed(self, generation: Generation) -> None:
        self.current, self.edited = generation, False
        self.kept = [*(g for g in self.kept if g.identity != generation.identity), generation]

    def _is_current(self, generation: Generation) -> bool:
        return self.current is not None and self.current.identity == generation.identity


def test_the_committed_generation_is_whole_whatever_happens() -> None:
    run_state_machine_as_test(
        Transactions,
        settings=settings(
            max_examples=3,
            stateful_step_count=10,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_equal_manifests_are_one_generation_whatever_order_their_keys_have() -> None:
    manifest = wire.Manifest("web-1", "observability", "systemd", files=(wire.FileEntry("etc/a", "a" * 64, 1, 0o644),))
    data = dict(reversed(list(wire.encode(manifest).items())))
    assert wire.decode(wire.Manifest, data).identity == manifest.identity
