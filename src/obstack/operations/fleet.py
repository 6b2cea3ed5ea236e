"""Many nodes, wave after wave, several at a time: no node's trouble touches another, and nobody waits for the dead.

The thread that runs the waves starts and judges; each node's conversation has a thread of its own. An interruption
reaches the agents at work, which leave off or go back and say so, and nothing more is started.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

from obstack.agent import wire
from obstack.errors import Interrupted, Lost, StackError, Unreachable
from obstack.operations.asking import error_of
from obstack.plan.fleet import Wave
from obstack.ports import Channel, FleetReporter

T = TypeVar("T")

UNREACHABLE: Final = "unreachable"
INTERRUPTED: Final = "interrupted"
SKIPPED: Final = "skipped"
DONE_BEFORE: Final = "done before"
BY_BUNDLE: Final = "by bundle"
GOOD: Final = ("committed", "unchanged", "ok", DONE_BEFORE)


@dataclass(frozen=True)
class NodeResult(Generic[T]):
    """How it ended for one node: what came of it, or the error. Both are there for a reply that carries a fault."""

    node: str
    outcome: str
    value: T | None = None
    error: StackError | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """Return the node's share in the exit code."""
        return self.error.exit_code if self.error else 0

    @property
    def failed(self) -> bool:
        """Whether it counts as a failure. A machine that is away does not; one that went while it was worked on does.

        For that may be what the change did to it, and would do to the next one.
        """
        return self.error is not None and (isinstance(self.error, Lost) or not isinstance(self.error, Unreachable))


def result_of(node: str, reply: wire.Reply) -> NodeResult[wire.Reply]:
    """Given a node's reply, return its result."""
    return NodeResult(node, reply.outcome, reply, error_of(reply.fault) if reply.fault else None)


@dataclass(frozen=True)
class Pace:
    """How fast a run goes, and when it stops: `parallel` nodes at a time; more than `max_failures` end it.

    A failure among the `canaries` always ends it. None for `max_failures`: nothing ends it.
    """

    parallel: int
    max_failures: int | None = None
    canaries: frozenset[str] = frozenset()

    def over(self, results: Iterable[NodeResult[T]]) -> bool:
        """Given the results so far, return whether no more nodes are to be begun."""
        failed = [result.node for result in results if result.failed]
        if self.max_failures is None:
            return False
        return len(failed) > self.max_failures or any(name in self.canaries for name in failed)


class Interruption:
    """Hands Ctrl-C on to all agents at work. `wish` may be called from a signal handler."""

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._working: dict[str, Channel] = {}
        self._wished = False

    @property
    def wished(self) -> bool:
        """Whether the run is to end."""
        return self._wished

    def wish(self) -> None:
        """Begin no more nodes, and tell the agents at work to leave off."""
        with self._turn:
            self._wished = True
            for channel in self._working.values():
                channel.interrupt()

    def enter(self, node: str, channel: Channel) -> None:
        """Take the channel among those that are told; raise Interrupted when it is too late to begin."""
        with self._turn:
            if self._wished:
                raise Interrupted(
                    code="interrupted",
                    what="The run was interrupted before this node.",
                    where=node,
                    state="nothing was changed on it by this run",
                    do="observability apply --resume",
                )
            self._working[node] = channel

    def leave(self, node: str) -> None:
        """Forget the channel: its conversation has ended."""
        with self._turn:
            self._working.pop(node, None)


@dataclass
class Fleet(Generic[T]):
    """One run: given how nodes are reached and what is done with each, work through waves.

    `work` returns a node's result or raises StackError; `defect` makes an error of any other exception. `on_end` is
    told of each result before the next node is begun, in one thread.
    """

    open_channel: Callable[[str], Channel]
    work: Callable[[str, Channel], NodeResult[T]]
    reporter: FleetReporter
    pace: Pace
    interruption: Interruption
    defect: Callable[[Exception], StackError]
    on_end: Callable[[NodeResult[T]], None] = lambda _: None
    results: list[NodeResult[T]] = field(default_factory=list)

    def run(self, waves: Sequence[Wave]) -> tuple[NodeResult[T], ...]:
        """Work through the waves and return a result for every node of them, in their order."""
        with ThreadPoolExecutor(max_workers=self.pace.parallel, thread_name_prefix="node") as pool:
            for wave in waves:
                if not self._over():
                    self.reporter.wave(wave.title, wave.nodes)
                self._run_wave(pool, wave)
        ended = {result.node: result for result in self.results}
        return tuple(ended[node] for wave in waves for node in wave.nodes)

    def _over(self) -> bool:
        return self.interruption.wished or self.pace.over(self.results)

    def _run_wave(self, pool: ThreadPoolExecutor, wave: Wave) -> None:
        waiting = deque(wave.nodes)
        working: set[Future[NodeResult[T]]] = set()
        while waiting or working:
            if self._over():
                for node in waiting:
                    self._end(NodeResult(node, SKIPPED))
                waiting.clear()
            while waiting and len(working) < self.pace.parallel:
                working.add(pool.submit(self._one, waiting.popleft()))
            done, working = wait(working, return_when=FIRST_COMPLETED)
            for future in done:
                self._end(future.result())

    def _end(self, result: NodeResult[T]) -> None:
        self.results.append(result)
        self.on_end(result)
        if result.outcome != SKIPPED:
            self.reporter.ended(
                result.node, result.outcome, result.error.what if result.error else "", good=result.error is None
            )

    def _one(self, node: str) -> NodeResult[T]:
        began = time.monotonic()
        self.reporter.started(node)
        try:
            channel = self.open_channel(node)
            self.interruption.enter(node, channel)
            try:
                result = self.work(node, channel)
            finally:
                self.interruption.leave(node)
        except Unreachable as error:
            result = NodeResult(node, UNREACHABLE, error=error)
        except Interrupted as error:
            result = NodeResult(node, INTERRUPTED, error=error)
        except StackError as error:
            result = NodeResult(node, "failed", error=error)
        except Exception as error:  # noqa: BLE001 a defect that one node brings to light must not leave the others
            result = NodeResult(node, "failed", error=self.defect(error))
        return replace(result, seconds=time.monotonic() - began)


def summarize(results: Iterable[NodeResult[T]]) -> Mapping[str, int]:
    """Given the results, return how many nodes there are of each outcome, the good ones first."""
    found: dict[str, int] = {}
    for result in sorted(results, key=lambda item: (item.error is not None, item.outcome)):
        found[result.outcome] = found.get(result.outcome, 0) + 1
    return found


def unproven(hosts: Iterable[str], results: Iterable[NodeResult[T]], done: Collection[str] = ()) -> tuple[str, ...]:
    """Given all hosts, the results of this run, and what an earlier one had done, return the hosts that are not proven.

    The server must not be judged by them: whether they can be scraped says nothing about the server's change.
    """
    good = {*done, *(result.node for result in results if result.error is None and result.outcome in GOOD)}
    return tuple(name for name in hosts if name not in good)
