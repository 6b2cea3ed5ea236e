"""The bars of the units: how exposed each may be at most on Debian 13, by `systemd-analyze security`, from 0 to 10."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent / "exposure.json"
BOUND: Final = 2.0
"""Above it, a unit needs a reason."""

MARGIN: Final = 0.2
"""A unit that is better than its bar by more asks for a lower bar, so that it stays as good as it has become."""

OF_A_HOST: Final = re.compile(r"^journal-receive-.+\.service$")


@dataclass(frozen=True)
class Bar:
    """The most that a unit may be exposed, what it may do beyond the common base, and why when that is much."""

    exposure: float
    beyond: str = ""
    reason: str = ""


def read_bars() -> dict[str, Bar]:
    """Return the bar of each unit by its name."""
    return {name: Bar(**values) for name, values in json.loads(FILE.read_text(encoding="utf-8")).items()}


def bar_name(unit: str) -> str:
    """Given a unit's name, return that of its bar: units of which there is one for each host share one."""
    return "journal-receive-HOST.service" if OF_A_HOST.match(unit) else unit


def complaints(measured: Mapping[str, float], bars: Mapping[str, Bar]) -> list[str]:
    """Given the exposure of each unit and the bars, return what is wrong, in words that say what to do about it."""
    found = []
    for name, value in sorted(measured.items()):
        bar = bars.get(name)
        if bar is None:
            found.append(f"{name} is new: give it a bar, {value}, in {FILE.name}")
        elif value > bar.exposure:
            found.append(f"{name} is worse: {value} instead of {bar.exposure}; take back what opened it")
        elif value < bar.exposure - MARGIN:
            found.append(f"{name} is better: {value} instead of {bar.exposure}; lower its bar in {FILE.name}")
        if bar is not None and bar.exposure > BOUND and not bar.reason:
            found.append(f"{name} has a bar above {BOUND}: say why in {FILE.name}")
    return found + [f"{name} is no unit any more: remove its bar" for name in sorted(set(bars) - set(measured))]
