"""Verbs over many nodes: looking at all of them, and changing them wave after wave."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Protocol

from obstack.agent import wire
from obstack.cli.bug import keep_traceback
from obstack.cli.composition import SystemClock, build_nodes, who
from obstack.cli.conclude import confirm, reply_document
from obstack.cli.door import complete
from obstack.cli.fleet_progress import fleet_reporter
from obstack.cli.fleet_views import fleet_document, fleet_outcome_lines, fleet_plan_lines
from obstack.cli.nodes import Nodes
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import short
from obstack.edges.run_record import FileRunRecord
from obstack.edges.secrets import SecretStore
from obstack.errors import Interrupted
from obstack.model.site import Site
from obstack.operations.apply import apply
from obstack.operations.desired import Desired
from obstack.operations.fleet import (
    BY_BUNDLE,
    DONE_BEFORE,
    GOOD,
    Fleet,
    Interruption,
    NodeResult,
    Pace,
    T,
    result_of,
    unproven,
)
from obstack.operations.health import check_health
from obstack.operations.inspection import Inspection, current_generation, inspect
from obstack.operations.plan import make_plan
from obstack.plan.explain import Plan
from obstack.plan.fleet import Wave, decide_resume, decide_waves, demand_hosts, worst
from obstack.ports import Channel, FleetReporter, Reporter


@dataclass(frozen=True)
class Course:
    """How a change goes through the nodes: what the command line says, or else the configuration."""

    parallel: int
    max_failures: int
    canaries: frozenset[str]
    batch: str
    resume: bool


def decide_course(
    site: Site,
    *,
    parallel: int | None,
    max_failures: int | None,
    canaries: Sequence[str] | None,
    batch: str | None,
    resume: bool,
) -> Course:
    """Given a site and what the options say, None where they say nothing, return the course.

    Raises UsageError for a canary that is no host.
    """
    fleet = site.fleet
    demand_hosts(site, canaries or ())
    return Course(
        parallel=fleet.parallel if parallel is None else parallel,
        max_failures=fleet.max_failures if max_failures is None else max_failures,
        canaries=frozenset(fleet.canaries if canaries is None else canaries),
        batch=batch or fleet.batch,
        resume=resume,
    )


@contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """While nodes are worked on, let Ctrl-C end the run: those in flight leave off or go back, none is begun."""

    def wish(number: int, frame: FrameType | None) -> None:
        del number, frame
        interruption.wish()

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def site_of(nodes: Nodes) -> Site:
    """Return the site of several nodes, which was read when they were chosen."""
    if nodes.site is None:
        raise ValueError("a server without hosts is no fleet")
    return nodes.site


def look(
    nodes: Nodes, work: Callable[[str, Channel, Reporter], NodeResult[T]], *, parallel: int | None, quiet: bool
) -> tuple[NodeResult[T], ...]:
    """Do what changes nothing on all nodes, several at a time, and return their results.

    Raises Interrupted when a person interrupts it.
    """
    interruption = Interruption()
    pace = Pace(parallel or site_of(nodes).fleet.parallel)
    with fleet_reporter(quiet=quiet) as progress, interruptible(interruption):
        fleet: Fleet[T] = Fleet(
            nodes.open,
            lambda node, channel: work(node, channel, progress),
            progress,
            pace,
            interruption,
            keep_traceback,
        )
        results = fleet.run((Wave("looking at", nodes.names),))
    if interruption.wished:
        raise Interrupted(
            code="interrupted",
            what="The run was interrupted.",
            where="this terminal",
            state="nothing was being changed",
            do="observability status",
        )
    return (*results, *by_bundle(nodes))


def inspect_nodes(nodes: Nodes, *, parallel: int | None, quiet: bool) -> tuple[NodeResult[Inspection], ...]:
    """Look at the nodes and return what each is in now."""

    def work(node: str, channel: Channel, progress: Reporter) -> NodeResult[Inspection]:
        return NodeResult(node, "ok", inspect(channel, progress))

    return look(nodes, work, parallel=parallel, quiet=quiet)


def check_nodes(nodes: Nodes, *, parallel: int | None, quiet: bool) -> tuple[NodeResult[wire.Reply], ...]:
    """Let the nodes prove that they work and return the reply of each."""

    def work(node: str, channel: Channel, progress: Reporter) -> NodeResult[wire.Reply]:
        result = result_of(node, check_health(channel, progress))
        return replace(result, outcome="unhealthy" if result.error else "healthy")

    return look(nodes, work, parallel=parallel, quiet=quiet)


def by_bundle(nodes: Nodes) -> tuple[NodeResult[Any], ...]:
    """Given the nodes, return the results of those that no SSH leads to: nothing was done to them."""
    return tuple(NodeResult(name, BY_BUNDLE) for name in nodes.by_bundle)


def print_results(
    results: Sequence[NodeResult[T]],
    documents: Mapping[str, Mapping[str, Any]],
    lines: Sequence[str],
    *,
    as_json: bool,
    further: Sequence[int] = (),
    added: Mapping[str, Any] | None = None,
) -> int:
    """Print what came of all nodes and return the exit code: the worst of theirs and of `further`.

    `added` goes into the document too.
    """
    code = worst([*(result.exit_code for result in results), *further])
    if as_json:
        print_json({**fleet_document(results, documents, code), **(added or {})})
    else:
        for line in lines:
            print_line(line)
    return code


# ------------------------------------------------------------------------------------------------------------ plan


def plan_nodes(
    nodes: Nodes, desired: Mapping[str, Desired], *, parallel: int | None, quiet: bool
) -> tuple[NodeResult[Plan], ...]:
    """Given what the nodes must be, look at them and return a plan for each."""

    def work(node: str, channel: Channel, progress: Reporter) -> NodeResult[Plan]:
        plan = make_plan(channel, desired[node], progress)
        return NodeResult(node, "unchanged" if plan.empty else "changes", plan)

    return look(nodes, work, parallel=parallel, quiet=quiet)


# ----------------------------------------------------------------------------------------------------------- apply


class Trial(Protocol):
    """New values of secrets that an apply over several nodes tries."""

    @property
    def secrets(self) -> SecretStore:
        """Where the new values hold already."""

    def rendered(self, identities: Mapping[str, str]) -> None:
        """Take note of the generation that each node is to be in, before any of them is touched."""

    def ended(self, results: Sequence[NodeResult[wire.Reply]]) -> tuple[dict[str, Any], list[str]]:
        """Given how it ended for all nodes, decide about the values; return what to add to the document and lines."""


@dataclass
class FleetApply:
    """One apply over several nodes, from the configuration to the table of outcomes, remembered in `record`."""

    nodes: Nodes
    course: Course
    record: FileRunRecord
    quiet: bool
    wait_s: float
    as_json: bool
    keep_door: bool = False
    trial: Trial | None = None

    def run(self, *, ask: bool) -> int:
        """Plan and ask when wished, go through the waves, print how it ended, and return the exit code."""
        site = site_of(self.nodes)
        with reporter(quiet=self.quiet) as progress:
            secrets = self.trial.secrets if self.trial else None
            desired = build_nodes(
                self.nodes.target, site, self.nodes.names, progress, secrets, keep_door=self.keep_door
            )
        record = self.record
        identities = {name: item.manifest.identity for name, item in desired.items()}
        settled = list[NodeResult[wire.Reply]](by_bundle(self.nodes))
        if self.course.resume:
            settled += self._done_before(decide_resume(record.read(), identities), identities)
        if ask:
            settled += self._ask(desired, settled)
        if self.trial:
            self.trial.rendered(identities)
        record.begin(identities, who=who(), now=SystemClock().now())
        for result in settled:
            record.note(result.node, result.outcome, done=result.outcome == DONE_BEFORE)
        return self._go(desired, settled)

    def _done_before(self, names: tuple[str, ...], identities: Mapping[str, str]) -> Iterator[NodeResult[wire.Reply]]:
        """Given the nodes that the record says are done, ask each what is in force, and return those that still are.

        Somebody may have gone back there since. One that does not answer is not tried again either.
        """

        def work(node: str, channel: Channel, progress: Reporter) -> NodeResult[str | None]:
            return NodeResult(node, "ok", current_generation(channel, progress))

        asked = Nodes(self.nodes.target, self.nodes.site, names)
        for result in look(asked, work, parallel=self.course.parallel, quiet=self.quiet) if names else ():
            if result.error is not None:
                yield NodeResult(result.node, result.outcome, error=result.error)
            elif result.value == identities[result.node]:
                yield NodeResult(result.node, DONE_BEFORE, wire.Reply("unchanged", result.value))

    def _ask(
        self, desired: Mapping[str, Desired], settled: Sequence[NodeResult[wire.Reply]]
    ) -> list[NodeResult[wire.Reply]]:
        """Show the plan and ask; return the nodes that could not be reached, which are not tried again."""
        apart = {result.node for result in settled}
        names = tuple(name for name in self.nodes.names if name not in apart)
        plans = plan_nodes(
            Nodes(self.nodes.target, self.nodes.site, names),
            desired,
            parallel=self.course.parallel,
            quiet=self.quiet,
        )
        changing = sum(plan.value is not None and not plan.value.empty for plan in plans)
        if changing:
            skipped = [f"{result.outcome}: {result.node}" for result in settled if result.node in desired]
            lines = [*fleet_plan_lines(plans, verbose=False, diffs=False), *skipped]
            confirm(f"Apply this to {changing} of {len(names)} nodes?", lines, command="observability apply")
        return [NodeResult(plan.node, plan.outcome, error=plan.error) for plan in plans if plan.value is None]

    def _go(self, desired: Mapping[str, Desired], settled: Sequence[NodeResult[wire.Reply]]) -> int:
        site, interruption = site_of(self.nodes), Interruption()
        apart = {result.node for result in settled}
        waves = decide_waves(
            [name for name in self.nodes.names if name not in apart],
            server=site.server.name,
            canaries=self.course.canaries,
            batch=self.course.batch,
        )
        began = time.monotonic()
        with fleet_reporter(quiet=self.quiet) as progress, interruptible(interruption):
            fleet: Fleet[wire.Reply] = Fleet(
                self.nodes.open,
                lambda node, channel: self._apply(fleet, node, channel, desired[node], settled, progress),
                progress,
                Pace(self.course.parallel, self.course.max_failures, self.course.canaries),
                interruption,
                keep_traceback,
                on_end=lambda result: self.record.note(
                    result.node, result.outcome, done=result.error is None and result.outcome in GOOD
                ),
            )
            _say_done(progress, settled)
            results = fleet.run(waves)
        ended = {result.node: result for result in (*settled, *results)}
        ordered = [ended[name] for name in (*self.nodes.by_bundle, *self.nodes.names)]
        lines = fleet_outcome_lines(ordered, time.monotonic() - began)
        if interruption.wished:
            lines += ["interrupted; go on with: observability apply --resume"]
        documents = {
            result.node: reply_document(result.node, result.value, result.seconds) | {"outcome": result.outcome}
            for result in ordered
            if result.value is not None
        }
        further = (Interrupted.exit_code,) if interruption.wished else ()
        added: dict[str, Any] = {}
        if self.trial:
            added, told = self.trial.ended(ordered)
            lines += told
        return print_results(ordered, documents, lines, as_json=self.as_json, further=further, added=added)

    def _apply(
        self,
        fleet: Fleet[wire.Reply],
        node: str,
        channel: Channel,
        desired: Desired,
        settled: Sequence[NodeResult[wire.Reply]],
        progress: Reporter,
    ) -> NodeResult[wire.Reply]:
        site = site_of(self.nodes)
        hosts = tuple(site.hosts) if node == site.server.name else ()
        apart = unproven(hosts, (*settled, *fleet.results))

        def change(desired: Desired) -> wire.Reply:
            return apply(channel, desired, progress, who=who(), wait_s=self.wait_s, unproven=apart)

        reply = change(desired)
        if self.trial is None:
            reply = complete(self.nodes.target, desired, reply, progress, change)
        return result_of(node, reply)


def _say_done(progress: FleetReporter, settled: Sequence[NodeResult[wire.Reply]]) -> None:
    for result in settled:
        if result.outcome == DONE_BEFORE and result.value is not None:
            progress.ended(result.node, DONE_BEFORE, f"generation {short(result.value.generation)}", good=True)
