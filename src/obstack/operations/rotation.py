"""New values for secrets, which take the place of the old ones once every machine concerned has proven them.

Until then the new values lie in a note beside the old ones, which stay in force for whatever else runs. The note says
in which generation each machine will be that has them, so that whoever comes after a run that died can find out how far
it got: when all machines are in those generations, the new values take their place; otherwise they are dropped, and the
next apply takes them off the machines that had them already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from obstack.agent import durable
from obstack.errors import LockHeld, UsageError
from obstack.model.secret import Secret
from obstack.operations.secrets import SecretFinding

NOTE: Final = "rotation"


class RotatingStore(Protocol):
    """Where the values and the note of a rotation are kept."""

    def kept(self, name: str) -> bytes | None:
        """Given a name, return the note."""

    def keep(self, name: str, content: bytes) -> None:
        """Given a name and content, keep the note durably."""

    def forget(self, name: str) -> bool:
        """Given a name, remove the note; return whether there was one."""

    def put(self, name: str, secret: Secret) -> None:
        """Given a name and a value, keep it in the place of the old one."""

    def rotating(self) -> AbstractContextManager[bool]:
        """Return the context of who rotates or settles; it tells whether nobody else is at it."""


@dataclass(frozen=True)
class Rotation:
    """New values by name, and the generation that each machine is in when it has them; `proven` when all are.

    Before the machines were rendered, there are no generations, and no machine can have the values. `environment` is
    the one whose secrets these are; empty for the base.
    """

    values: Mapping[str, Secret]
    generations: Mapping[str, str]
    proven: bool = False
    environment: str = ""


@dataclass(frozen=True)
class Settlement:
    """What became of a rotation whose run died: its secrets, and whether the new values have taken their place."""

    names: tuple[str, ...]
    taken: bool

    @property
    def text(self) -> str:
        """Return it as a sentence for people."""
        names = ", ".join(self.names)
        if self.taken:
            return f"an interrupted rotation of {names} is settled: every machine has proven it, the new value holds"
        return f"an interrupted rotation of {names} is settled: the old value holds, the new one is dropped"


@contextmanager
def alone(store: RotatingStore) -> Iterator[None]:
    """Be the only one that rotates or settles while the context lasts. Raises LockHeld."""
    with store.rotating() as held:
        if not held:
            raise LockHeld(
                code="rotation-running",
                what="Another run is rotating secrets just now.",
                where="the private folder of the secrets",
                state="nothing was touched",
                do="wait for it, then run this again",
            )
        yield


def begin(store: RotatingStore, values: Mapping[str, Secret], environment: str = "") -> Rotation:
    """Given the new values and the environment that they are for, note them beside the old ones."""
    rotation = Rotation(values, {}, environment=environment)
    _note(store, rotation)
    # Crash here: no machine was rendered with the new values; they are dropped.
    durable.crash_point("rotation-begun")
    return rotation


def rendered(store: RotatingStore, rotation: Rotation, generations: Mapping[str, str]) -> Rotation:
    """Given the generation that each machine is to be in, note it before any of them is touched."""
    rotation = replace(rotation, generations=generations)
    _note(store, rotation)
    # Crash here: the machines are asked; none is in the noted generation, so that the new values are dropped.
    durable.crash_point("rotation-rendered")
    return rotation


def take(store: RotatingStore, rotation: Rotation) -> None:
    """Every machine has proven the new values: let them take the place of the old ones."""
    # Crash here: the machines are asked; all are in the noted generations, so that the new values are taken.
    durable.crash_point("rotation-green")
    _note(store, replace(rotation, proven=True))
    for name, secret in rotation.values.items():
        # Crash here: some values have taken their place; the next run lets the others follow.
        durable.crash_point("rotation-taking")
        store.put(name, secret)
    # Crash here: all values have taken their place; the next run does it again, which changes nothing.
    durable.crash_point("rotation-taken")
    store.forget(NOTE)


def drop(store: RotatingStore) -> None:
    """The new values did not prove themselves: forget them. The old ones were never touched."""
    # Crash here: a machine that went back is not in the noted generation, so that the next run drops them.
    durable.crash_point("rotation-red")
    store.forget(NOTE)


def read(store: RotatingStore) -> Rotation | None:
    """Return the rotation whose note is there; None when there is none. One that cannot be understood is none."""
    try:
        document = json.loads(store.kept(NOTE) or b"null")
        return Rotation(
            {str(name): Secret(str(value)) for name, value in document["values"].items()},
            {str(node): str(generation) for node, generation in document["generations"].items()},
            proven=document["proven"] is True,
            environment=str(document["environment"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def settle(store: RotatingStore, generation_of: Callable[[str], str | None]) -> Settlement | None:
    """Given how a machine's generation in force is found out, settle what a run that died has left.

    It is called by whoever is `alone`. A machine that cannot be asked counts as one that has not proven anything: what
    it has then is put right by the next apply that reaches it. Returns None when there is nothing to settle.
    """
    rotation = read(store)
    if rotation is None:
        return None
    taken = rotation.proven or (
        bool(rotation.generations)
        and all(generation_of(node) == generation for node, generation in rotation.generations.items())
    )
    if taken:
        take(store, rotation)
    else:
        drop(store)
    return Settlement(tuple(rotation.values), taken)


def demand_settled(store: RotatingStore, name: str) -> None:
    """Raise UsageError when a new value of this secret waits to be settled."""
    rotation = read(store)
    if rotation is not None and name in rotation.values:
        raise UsageError(
            code="rotation-unsettled",
            what=f"A rotation of {name} was interrupted, and is not settled yet.",
            where="the private folder of the secrets",
            state="nothing was touched",
            do="observability apply    settles it",
        )


def unsettled_finding(store: RotatingStore) -> tuple[SecretFinding, ...]:
    """Return a finding for each secret of a rotation that waits to be settled."""
    rotation = read(store)
    return tuple(
        SecretFinding(name, "has a new value that an interrupted rotation left", "observability apply    settles it")
        for name in (rotation.values if rotation else ())
    )


def _note(store: RotatingStore, rotation: Rotation) -> None:
    document = {
        "values": {name: secret.reveal() for name, secret in rotation.values.items()},
        "generations": dict(rotation.generations),
        "proven": rotation.proven,
        "environment": rotation.environment,
    }
    store.keep(NOTE, json.dumps(document).encode() + b"\n")
