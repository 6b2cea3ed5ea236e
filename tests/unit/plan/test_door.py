"""Which certificate the front door shows, and when an authority may be asked."""

from __future__ import annotations

import pytest

from obstack.model.door_certificate import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.plan.door import (
    LONGEST_PAUSE_S,
    Attempts,
    Flaw,
    Found,
    Kind,
    Order,
    Origin,
    Part,
    decide_door,
    door_names,
    failed,
    order_of,
    read_attempts,
)
from obstack.render.materials import Certificate

pytestmark = pytest.mark.security

OWN = Certificate("OWN", Secret("K"), "OWN AUTHORITY")
OLDER_OWN = Certificate("OLDER OWN", Secret("K"), "OWN AUTHORITY")
PUBLIC = Certificate("PUBLIC", Secret("K"), "")
NEW = Certificate("NEW", Secret("K"), "")

GOOD = Found("/live", certificate=NEW)
BROKEN = Found("/live", (Flaw(Part.KEY, "does not belong", "do"),))
OLD = Found("/live", (Flaw(Part.CHAIN, "expired", "do", Kind.DATES),))
FOREIGN = Found("/live", (Flaw(Part.CHAIN, "was had from", "do", Kind.AUTHORITY),))
OTHER_NAMES = Found("/live", (Flaw(Part.CHAIN, "is not for", "do", Kind.NAMES),))
SHOWN = Found("/etc/nginx", certificate=PUBLIC)
SHOWN_OWN = Found("/etc/nginx", certificate=OLDER_OWN)
SHOWN_BAD = Found("/etc/nginx", (Flaw(Part.CHAIN, "expired", "do", Kind.DATES),))


def site(mode: str, **more: object) -> Site:
    section = {"mode": mode, **more}
    return Site.model_validate({"domain": "observability.example.org", "front_door": {"certificate": section}})


@pytest.mark.parametrize(
    ("mode", "new", "current", "shown", "origin", "refused", "wanting"),
    [
        ("internal", None, SHOWN, OWN, Origin.INTERNAL, None, False),
        ("provided", GOOD, SHOWN, NEW, Origin.PROVIDED, None, False),
        # The old one stays, whatever the new one is.
        ("provided", BROKEN, SHOWN, PUBLIC, Origin.KEPT, BROKEN, False),
        ("provided", OLD, SHOWN, PUBLIC, Origin.KEPT, OLD, False),
        ("provided", BROKEN, None, OWN, Origin.INTERNAL, BROKEN, False),
        ("acme", GOOD, SHOWN, NEW, Origin.ACME, None, False),
        ("acme", None, None, OWN, Origin.INTERNAL, None, True),
        ("acme", None, SHOWN, PUBLIC, Origin.KEPT, None, True),
        ("acme", None, SHOWN_BAD, OWN, Origin.INTERNAL, None, True),
        # The site's own one is renewed by its own rules, not kept as it is.
        ("acme", None, SHOWN_OWN, OWN, Origin.INTERNAL, None, True),
        # A new one heals what time or other names did; a broken file is for a person.
        ("acme", OLD, SHOWN, PUBLIC, Origin.KEPT, None, True),
        ("acme", OTHER_NAMES, SHOWN, PUBLIC, Origin.KEPT, None, True),
        ("acme", FOREIGN, SHOWN, PUBLIC, Origin.KEPT, None, True),
        ("acme", BROKEN, SHOWN, PUBLIC, Origin.KEPT, BROKEN, False),
    ],
)
def test_the_old_certificate_stays_until_the_new_one_is_good(
    mode: str,
    new: Found | None,
    current: Found | None,
    shown: Certificate,
    origin: Origin,
    refused: Found | None,
    wanting: bool,
) -> None:
    door = decide_door(site(mode), OWN, new, current)
    assert (door.certificate, door.origin, door.refused, door.wanting) == (shown, origin, refused, wanting)
    # certbot would keep what another authority has signed and time has not ended.
    assert door.anew == (new is FOREIGN)


def test_further_names_are_asked_of_an_authority_only() -> None:
    further = ["metrics.example.org", "observability.example.org"]
    assert door_names(site("acme", names=further)) == ("observability.example.org", "metrics.example.org")
    assert door_names(site("internal", names=further)) == ("observability.example.org",)


def test_only_where_failures_count_there_is_a_place_for_trying_out() -> None:
    assert order_of(site("acme")).rehearsed
    assert order_of(site("acme")).directory == LETS_ENCRYPT
    assert not order_of(site("acme", directory=LETS_ENCRYPT_STAGING)).rehearsed


ORDER = Order("https://ca.example.org/directory", ("observability.example.org",), None)


def test_an_apply_every_minute_asks_three_times_in_the_first_hour_and_once_a_day_in_the_end() -> None:
    attempts, asked = read_attempts(None, ORDER), []
    for minute in range(14 * 1440):
        if attempts.may_try(minute * 60.0):
            asked.append(minute)
            attempts = failed(attempts, minute * 60.0, "refused")
    assert asked[:4] == [0, 15, 45, 105]
    assert max(sum(start <= minute < start + 60 for minute in asked) for start in range(14 * 1440)) <= 3
    assert attempts.pause_s == LONGEST_PAUSE_S
    assert asked[-1] - asked[-2] == 1440


def test_the_note_is_read_again_and_an_order_that_was_changed_is_another_one() -> None:
    attempts = failed(read_attempts(None, ORDER), 1000.0, "refused")
    assert read_attempts(attempts.document(), ORDER) == attempts
    changed = Order(ORDER.directory, ("metrics.example.org",), None)
    assert read_attempts(attempts.document(), changed).may_try(1001.0)


@pytest.mark.parametrize("note", [None, b"", b"{", b"[]", b'{"order": 1}', b'{"order": "x", "count": "many"}', b"\xff"])
def test_a_note_that_cannot_be_read_counts_as_none(note: bytes | None) -> None:
    assert read_attempts(note, ORDER) == Attempts(ORDER.mark, 0, 0.0, "")


def test_a_clock_that_went_back_does_not_shut_the_authority_out() -> None:
    assert failed(read_attempts(None, ORDER), 1e9, "refused").may_try(1e9 - 86400)
