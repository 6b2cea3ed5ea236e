"""What a node says of its artifacts, compared with the lock: a host that lies about the form is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from obstack.agent import wire
from obstack.agent.inventory import Inventory
from obstack.catalog.artifact import Archive, Artifact
from obstack.cli.progress import QuietReporter
from obstack.errors import ChangeFailed
from obstack.operations.deployed import Deployment
from obstack.operations.verification import (
    AS_LOCKED,
    DAMAGED,
    MISSING,
    OTHER,
    UNKNOWN,
    Verified,
    broken_archives,
    differences,
    verify_node,
)
from obstack.ports import Contents

ENTRY = wire.ArchiveEntry("thing.deb", "ab" * 32, 10, "deb")
THING = Artifact("thing", "1.0", "debian", "trixie", "amd64", (Archive(ENTRY, "pool/thing.deb"),), {})
UNPACKED: Inventory = {"usr": "directory 0755", "usr/thing": f"file 0755 {'cd' * 32}"}


class Node:
    """A way to a node that answers one thing."""

    node = "web-1"

    def __init__(self, artifacts: Any) -> None:
        self.artifacts = artifacts

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        assert request.verb == "verify"
        return wire.Reply("ok", "0" * 64, data={"artifacts": self.artifacts})

    def interrupt(self) -> None:
        """Nothing is under way."""


def said(artifact: Artifact = THING, inventory: Any = UNPACKED, **changes: Any) -> dict[str, Any]:
    entry = artifact.entry
    about = {"identity": entry.identity, "linked": True, "inventory": inventory}
    return {**wire.encode(entry), **about, **changes}


def verify(artifacts: Any, expected: Inventory | None = UNPACKED, given: tuple[Artifact, ...] = (THING,)) -> Verified:
    deployment = Deployment("web-1", {artifact.component: artifact for artifact in given}, {})
    found = verify_node(Node(artifacts), deployment, lambda _: expected, "/store", QuietReporter())
    assert len(found) == 1
    return found[0]


def test_what_is_there_byte_by_byte_is_as_locked() -> None:
    found = verify([said()])
    assert (found.standing, found.differences, found.files, found.sound) == (AS_LOCKED, (), 1, True)


@pytest.mark.security
def test_a_changed_file_is_named_and_the_file_whose_removal_has_it_unpacked_anew() -> None:
    found = verify([said(inventory={**UNPACKED, "usr/thing": f"file 0755 {'ef' * 32}"})])
    assert found.standing == DAMAGED
    assert found.differences == ("usr/thing is file 0755 efefefefefef instead of file 0755 cdcdcdcdcdcd",)
    assert found.index == f"/store/{THING.entry.identity}.json"


def test_each_kind_of_difference_is_a_sentence() -> None:
    found = differences({"a": "link b", "c": "link d"}, {"c": "link e", "f": "other"})
    assert found == ("a is gone", "c is link e instead of link d", "f is of no archive")


def test_a_generation_that_leads_elsewhere_is_damage() -> None:
    assert verify([said(linked=False)]).standing == DAMAGED


def test_other_archives_than_the_locked_ones_are_told_whatever_the_node_calls_them() -> None:
    other = Artifact("thing", "1.0", "debian", "trixie", "amd64", (), {})
    found = verify([said(other, identity=THING.entry.identity)])
    assert (found.standing, found.sound) == (OTHER, False)


def test_what_the_node_has_not_and_what_it_should_not_have_is_told() -> None:
    assert verify([]).standing == MISSING
    assert verify([said()], given=()).standing == OTHER


def test_what_cannot_be_compared_is_not_called_sound() -> None:
    assert verify([said()], expected=None).standing == UNKNOWN


@pytest.mark.security
@pytest.mark.parametrize(
    "answer",
    [None, 7, "text", [7], [{}], [said(inventory=7)], [said(inventory={"a": 1})], [said(archives="x")], [said(more=1)]],
    ids=str,
)
def test_an_answer_of_another_form_is_refused(answer: Any) -> None:
    with pytest.raises(ChangeFailed) as caught:
        verify(answer)
    assert caught.value.code == "answer-unreadable"


def test_archives_are_read_once_and_counted() -> None:
    other = Artifact("other", "1", "debian", "trixie", "arm64", (THING.archives[0], _archive("1"), _archive("2")), {})
    looks = {"ab" * 32: True, "1" * 64: False, "2" * 64: None}
    seen: list[str] = []

    def look(archive: Archive) -> bool | None:
        seen.append(archive.entry.digest)
        return looks[archive.entry.digest]

    broken, read, absent = broken_archives({"amd64": {"thing": THING}, "arm64": {"other": other}}, look)
    assert (list(broken), read, absent) == (["1" * 64], 2, 1)
    assert sorted(seen) == sorted(looks)


def _archive(digit: str) -> Archive:
    return Archive(wire.ArchiveEntry(f"{digit}.deb", digit * 64, 10, "deb"), "pool/x.deb")
