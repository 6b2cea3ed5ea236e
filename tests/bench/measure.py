"""What a measurement is: a figure, on what it was taken, and what it should be at most."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

CHECKOUT: Final = Path(__file__).parents[2]

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One measurement. `figures` are seconds or bytes, by name; `target` names one of them and its highest value."""

    what: str
    on: str
    figures: Mapping[str, float]
    target: tuple[str, float] | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        name, highest = self.target
        return self.figures[name] <= highest

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "what": self.what,
            "on": self.on,
            "figures": {name: round(value, 4) for name, value in self.figures.items()},
            "target": None if self.target is None else {"figure": self.target[0], "at_most": self.target[1]},
            "holds": self.holds,
            "note": self.note,
        }


@dataclass
class Stopwatch:
    """Wall time and the processor time of the child processes that were waited for, over several runs."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def time(self, run: Callable[[], T]) -> T:
        """Do it once, and return what it returns."""
        spent, began = _children_s(), time.perf_counter()
        result = run()
        self.wall.append(time.perf_counter() - began)
        self.processor.append(_children_s() - spent)
        return result

    def figures(self) -> dict[str, float]:
        """Return the medians, and the quickest run: on a busy machine it is nearest to what the work itself takes."""
        return {
            "wall_s": statistics.median(self.wall),
            "best_s": min(self.wall),
            "cpu_s": statistics.median(self.processor),
        }


def time_command(argv: Sequence[str | Path], times: int) -> dict[str, float]:
    """Given a command that must succeed, run it this many times after one that does not count; return the figures."""
    stopwatch = Stopwatch()
    _call(argv)
    for _ in range(times):
        stopwatch.time(lambda: _call(argv))
    return stopwatch.figures()


def time_function(function: Callable[[], object], times: int) -> dict[str, float]:
    """Given a function, call it this many times after one that does not count; return the medians."""
    wall, processor = [], []
    function()
    for _ in range(times):
        began, spent = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - spent)
    return {"wall_s": statistics.median(wall), "best_s": min(wall), "cpu_s": statistics.median(processor)}


def _call(argv: Sequence[str | Path]) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
