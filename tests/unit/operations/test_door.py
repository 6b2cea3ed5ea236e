"""Asking an authority: only when the challenge can be answered, never soon again, and tried out where that is free."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from obstack.cli.progress import QuietReporter
from obstack.edges.secrets import FileSecrets
from obstack.errors import ChangeFailed, Unreachable
from obstack.model.site import Site
from obstack.operations.door import Asking, obtain
from obstack.plan.door import Order

pytestmark = pytest.mark.security


@dataclass(frozen=True)
class Ended:
    code: int = 0
    output: str = "  Detail: the authority saw nothing\n\nthe last line\nAsk for help or search for solutions"


@dataclass
class Program:
    """Stands for certbot: answers as it is told to, and writes down what it was asked."""

    answers: dict[str, int] = field(default_factory=dict)
    there: bool = True
    asked: list[str] = field(default_factory=list)

    def installed(self) -> bool:
        return self.there

    def renews(self) -> bool:
        return True

    def rehearse(self, order: Order, webroot: str) -> Ended:
        self.asked.append("rehearse")
        return Ended(self.answers.get("rehearse", 0))

    def request(self, order: Order, webroot: str, authority: str, *, anew: bool) -> Ended:
        self.asked.append("anew" if anew else "request")
        return Ended(self.answers.get("request", 0))


@dataclass
class Ways:
    """Stands for the network."""

    directory: str = ""
    own: str = ""
    public: tuple[str, bool] = ("", False)
    webroot: str = "/srv/challenges"

    def directory_fault(self, url: str, authority: str) -> str:
        return self.directory

    def own_fault(self, name: str) -> str:
        return self.own

    def public_fault(self, name: str) -> tuple[str, bool]:
        return self.public


@dataclass
class Clock:
    time: float = 1_800_000_000.0

    def now(self) -> float:
        return self.time


@dataclass
class World:
    notes: FileSecrets
    program: Program = field(default_factory=Program)
    ways: Ways = field(default_factory=Ways)
    clock: Clock = field(default_factory=Clock)

    def obtain(self, *, at_once: bool = False, directory: str | None = None) -> None:
        certificate = {"mode": "acme"} | ({"directory": directory} if directory else {})
        site = Site.model_validate({"domain": "observability.example.org", "front_door": {"certificate": certificate}})
        obtain(
            site,
            Asking(self.program, self.ways, self.notes, self.clock, ""),
            QuietReporter(),
            anew=at_once,
            at_once=at_once,
        )

    def refused(self) -> ChangeFailed:
        with pytest.raises(ChangeFailed) as caught:
            self.obtain()
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(FileSecrets(tmp_path / "secrets"))


def test_what_counts_is_tried_out_first_and_another_authority_asked_at_once(world: World) -> None:
    world.obtain()
    assert world.program.asked == ["rehearse", "request"]
    world.obtain(directory="https://ca.example.org/directory")
    assert world.program.asked[2:] == ["request"]


def test_what_fails_in_trying_out_is_never_asked_in_earnest(world: World) -> None:
    world.program.answers["rehearse"] = 1
    error = world.refused()
    assert (error.code, error.detail) == ("certificate-not-issued", Ended().output)
    assert "observability cert renew front-door" in error.do
    assert world.program.asked == ["rehearse"]


def test_after_a_failure_the_authority_is_left_alone_until_the_pause_is_over(world: World) -> None:
    world.program.answers["request"] = 1
    world.refused()
    world.clock.time += 14 * 60
    error = world.refused()
    assert error.code == "certificate-pause"
    assert error.what.endswith("Detail: the authority saw nothing")
    assert world.program.asked == ["rehearse", "request"]
    world.clock.time += 60
    world.refused()
    assert len(world.program.asked) == 4
    world.program.answers.clear()
    world.clock.time += 30 * 60
    world.obtain()
    # A success makes all failures forgotten.
    world.obtain()


def test_a_person_may_ask_at_once(world: World) -> None:
    world.program.answers["request"] = 1
    world.refused()
    world.program.answers.clear()
    world.obtain(at_once=True)
    assert world.program.asked[-1] == "anew"


def test_a_run_that_dies_while_the_authority_is_asked_counts_as_an_attempt(world: World) -> None:
    class Dies(Program):
        def request(self, order: Order, webroot: str, authority: str, *, anew: bool) -> Ended:
            raise KeyboardInterrupt

    world.program = Dies()
    with pytest.raises(KeyboardInterrupt):
        world.obtain()
    world.program = Program()
    assert world.refused().code == "certificate-pause"
    assert world.program.asked == []


@pytest.mark.parametrize(
    ("ways", "code"),
    [
        (Ways(own="no answer"), "challenge-unanswered"),
        (Ways(public=("something else answered", True)), "challenge-astray"),
    ],
)
def test_a_challenge_that_cannot_be_answered_costs_no_attempt(world: World, ways: Ways, code: str) -> None:
    world.ways = ways
    assert world.refused().code == code
    assert world.program.asked == []
    world.ways = Ways()
    world.obtain()


def test_an_authority_that_is_away_costs_no_attempt(world: World) -> None:
    world.ways = Ways(directory="connection refused")
    with pytest.raises(Unreachable) as caught:
        world.obtain()
    assert caught.value.code == "authority-unreachable"
    world.ways = Ways()
    world.obtain()


def test_where_a_machine_cannot_see_itself_from_outside_the_authority_is_asked_all_the_same(world: World) -> None:
    world.ways = Ways(public=("no answer from observability.example.org port 80: timed out", False))
    world.program.answers["request"] = 1
    detail = world.refused().detail or ""
    # But when it fails, this is what to look at first.
    assert detail.startswith("from here, observability.example.org: no answer")


def test_a_missing_certbot_is_named_with_the_command(world: World) -> None:
    world.program.there = False
    error = world.refused()
    assert error.code == "certbot-missing"
    assert error.do.startswith("apt-get install certbot")
