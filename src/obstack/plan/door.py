"""Which certificate the front door is to show, and when an authority may be asked for one. Pure: the time is passed in.

The old certificate stays until a new one is proven: whatever is wrong with the new one, the door goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from obstack.agent import wire
from obstack.model.door_certificate import LETS_ENCRYPT, DoorCertificate
from obstack.model.site import Site
from obstack.render.materials import Certificate

NOTE: Final = "front-door-attempts"
"""The name of the note about attempts at the authority that failed."""

FIRST_PAUSE_S: Final = 15 * 60.0
LONGEST_PAUSE_S: Final = 24 * 3600.0
"""Let's Encrypt forgives five failures an hour for a name; with pauses that double, there are at most three."""

WARN_S: Final = 21 * 86400.0
"""With so little left, a certificate that nobody renews by itself needs a person."""


class Part(StrEnum):
    """Which file a flaw is in: the keys of the section front_door.certificate."""

    CHAIN = "chain"
    KEY = "key"
    AUTHORITY = "authority"


class Kind(StrEnum):
    """What a flaw means for what is to be done: another is to sign, or other names, or it is old or broken."""

    AUTHORITY = "authority"
    NAMES = "names"
    DATES = "dates"
    CONTENT = "content"


@dataclass(frozen=True)
class Flaw:
    """One thing wrong with a certificate: in which file, what it is, and what to do."""

    part: Part
    message: str
    remedy: str
    kind: Kind = Kind.CONTENT


@dataclass(frozen=True)
class Leaf:
    """What a certificate says of itself. `begins` and `ends` are seconds since 1970; `mark` is its own digest."""

    issuer: str
    begins: float
    ends: float
    names: tuple[str, ...]
    mark: str


@dataclass(frozen=True)
class Found:
    """A certificate that was looked at: `certificate` is there exactly when nothing is wrong with it.

    `place` says where it was found, for messages; `leaf` is there when it could be read at all.
    """

    place: str
    flaws: tuple[Flaw, ...] = ()
    certificate: Certificate | None = None
    leaf: Leaf | None = None


class Origin(StrEnum):
    """Whose certificate the door shows: that of the mode, or one that stands in for it."""

    INTERNAL = "internal"
    PROVIDED = "provided"
    ACME = "acme"
    KEPT = "kept"
    """What the door shows already: it stays until there is a better one."""


@dataclass(frozen=True)
class Door:
    """The certificate that the front door is to show.

    `refused` is what the mode would have it show, when that is no good; `wanting` is that the authority must be asked,
    `anew` that it must be although there is one that has not ended.
    """

    certificate: Certificate
    origin: Origin
    refused: Found | None = None
    wanting: bool = False
    anew: bool = False


def decide_door(site: Site, own: Certificate, new: Found | None, current: Found | None) -> Door:
    """Given the site's own certificate, what the mode offers (None: nothing) and what is shown now, decide.

    What is shown now stands in only when it is still good for the domain; else the site's own does.
    """
    mode = site.front_door.certificate.mode
    if mode == "internal":
        return Door(own, Origin.INTERNAL)
    if new is not None and new.certificate is not None:
        return Door(new.certificate, Origin(mode))
    kept = current.certificate if current is not None else None
    # The site's own one, in an older form, is made anew by its own rules.
    stays = kept is not None and kept.authority != own.authority
    certificate, origin = (kept, Origin.KEPT) if kept is not None and stays else (own, Origin.INTERNAL)
    if mode == "provided":
        return Door(certificate, origin, refused=new)
    # What time, other names or another authority did, a new one heals; a file that is broken is for a person to see.
    kinds = set() if new is None else {flaw.kind for flaw in new.flaws}
    broken = Kind.CONTENT in kinds
    return Door(
        certificate,
        origin,
        refused=new if broken else None,
        wanting=not broken,
        anew=not broken and Kind.AUTHORITY in kinds,
    )


# ----------------------------------------------------------------------------------------- asking an authority


@dataclass(frozen=True)
class Order:
    """What is asked of an authority. `rehearsed`: it has a place for trying out, which is asked first."""

    directory: str
    names: tuple[str, ...]
    mail: str | None

    @property
    def rehearsed(self) -> bool:
        """Whether the authority has a place for trying out, where failures cost nothing."""
        return self.directory == LETS_ENCRYPT

    @property
    def mark(self) -> str:
        """Return the digest of the order: an order that was changed is another one."""
        return hashlib.sha256(json.dumps([self.directory, self.names, self.mail]).encode()).hexdigest()


def door_names(site: Site) -> tuple[str, ...]:
    """Given a site, return the names that the door's certificate must be for."""
    choice: DoorCertificate = site.front_door.certificate
    return tuple(dict.fromkeys((site.domain, *(choice.names if choice.mode == "acme" else ()))))


def order_of(site: Site) -> Order:
    """Given a site, return what is asked of its authority."""
    choice = site.front_door.certificate
    return Order(choice.directory, door_names(site), choice.mail)


@dataclass(frozen=True)
class Attempts:
    """The attempts of one order that failed: how many, when the last one began, and why it failed."""

    order: str
    count: int
    at: float
    reason: str

    @property
    def pause_s(self) -> float:
        """Return how long the authority is left alone after the last one."""
        return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (max(1, self.count) - 1)))

    def may_try(self, now: float) -> bool:
        """Given the time, return whether it may be asked again. A clock that went back does not stop it for long."""
        return self.count == 0 or not 0 <= now - self.at < self.pause_s

    def document(self) -> bytes:
        """Return the note to keep."""
        return json.dumps(vars(self) | {"version": 1}, sort_keys=True).encode() + b"\n"


def read_attempts(note: bytes | None, order: Order) -> Attempts:
    """Given the note, if there is one, return the attempts of this order; none for another or an unreadable note."""
    none = Attempts(order.mark, 0, 0.0, "")
    try:
        content: Any = wire.load(note or b"{}")
        if content["order"] != order.mark:
            return none
        return Attempts(order.mark, int(content["count"]), float(content["at"]), str(content["reason"]))
    except (ValueError, OverflowError, LookupError, TypeError):
        return none


def failed(attempts: Attempts, now: float, reason: str) -> Attempts:
    """Given the attempts so far, return them with one more, begun now."""
    return Attempts(attempts.order, attempts.count + 1, now, reason)


def words_of(flaws: Sequence[Flaw]) -> str:
    """Given flaws, return them in one sentence's words."""
    return "; ".join(f"the {flaw.part.value} {flaw.message}" for flaw in flaws)
