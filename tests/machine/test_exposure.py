"""Debian 13's own judgement of every unit that this program can put on a machine, compared with the bar of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from machine.bars import Bar, bar_name, complaints, read_bars
from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from rendering.every_unit import every_unit

pytestmark = [pytest.mark.machine, pytest.mark.security]

JUDGED = re.compile(r"Overall exposure level for (\S+): ([0-9.]+)")
UNITS = [(name, content) for name, content in every_unit()]


@pytest.fixture(scope="module")
def judge(machines: Machines, minimal_images: Mapping[str, Image]) -> Iterator[Machine]:
    """A Debian 13 with nothing on it: its systemd is the judge."""
    yield machines.create(minimal_images["trixie"], "judge-1")


def exposure(judge: Machine, units: list[tuple[str, bytes]]) -> dict[str, float]:
    """Return how exposed each unit is, of those that look different the worst."""
    for number, (name, content) in enumerate(units):
        judge.succeed(["mkdir", "-p", f"/srv/units/{number}"])
        judge.write(f"/srv/units/{number}/{name}", content.decode())
    look = "systemd-analyze security --offline=true --no-pager"
    shown = judge.succeed(f"for unit in /srv/units/*/*.service; do {look} $unit 2>/dev/null; done; rm -r /srv/units")
    worst: dict[str, float] = {}
    for name, value in JUDGED.findall(shown.stdout):
        worst[bar_name(name)] = max(float(value), worst.get(bar_name(name), 0.0))
    return worst


def test_no_unit_is_more_exposed_than_its_bar(judge: Machine) -> None:
    assert complaints(exposure(judge, UNITS), read_bars()) == []


def test_the_judge_notices_a_missing_fence(judge: Machine) -> None:
    name, content = next(unit for unit in UNITS if unit[0] == "prometheus.service")
    kept = [line for line in content.splitlines() if not line.startswith((b"SystemCall", b"Protect", b"Private"))]
    measured = exposure(judge, [(name, b"\n".join(kept) + b"\n")])
    bars = {name: read_bars()[name]}
    assert complaints(measured, bars) == [
        f"{name} is worse: {measured[name]} instead of {bars[name].exposure}; take back what opened it"
    ]


@pytest.mark.parametrize("wanted", ["MemoryMax=", "TasksMax=", "LimitNOFILE=", "LimitCORE=0", "NoNewPrivileges=yes"])
def test_every_unit_has_limits(wanted: str) -> None:
    assert [name for name, content in UNITS if f"\n{wanted}" not in content.decode()] == []


def test_a_bar_is_asked_for_lowered_and_given_a_reason() -> None:
    bars = {"a.service": Bar(1.0), "b.service": Bar(2.4), "c.service": Bar(3.0, reason="why"), "d.service": Bar(1.0)}
    found = complaints({"a.service": 1.1, "b.service": 2.4, "c.service": 2.7, "new.service": 0.1}, bars)
    assert [line.split(":")[0] for line in found] == [
        "a.service is worse",
        "b.service has a bar above 2.0",
        "c.service is better",
        "new.service is new",
        "d.service is no unit any more",
    ]
