"""How the certificate of the front door stands: the one that is shown, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from obstack.model.door_certificate import LINEAGE
from obstack.model.site import Site
from obstack.operations.door import AGAIN, Notes, Renewer, Sources, moment_text
from obstack.plan.certificates import FRONT_DOOR, Issued, Standing
from obstack.plan.door import NOTE, WARN_S, Leaf, order_of, read_attempts, words_of

OVERDUE_S = WARN_S / 3


class Shown(Sources, Protocol):
    """Where the certificates are, and what they say of themselves without being judged."""

    def shown(self) -> Leaf | None:
        """Return what the certificate in force says of itself; None without one."""

    def got(self) -> Leaf | None:
        """Return what certbot's certificate says of itself; None without one."""

    def renewed(self) -> bool:
        """Return whether certbot goes on renewing a certificate for this program."""


@dataclass(frozen=True)
class DoorState:
    """How it stands. `renewal` says who renews it and what is in the way; `sound` is that nobody needs to look.

    `standing` is None before there is a front door. `left` is that certbot renews one that nobody shows.
    """

    mode: str
    leaf: Leaf | None
    standing: Standing | None
    renewal: str
    sound: bool
    left: bool

    @property
    def left_note(self) -> str:
        """Return what to say of a certificate that certbot goes on renewing for nobody; empty where there is none."""
        told = f"certbot goes on renewing the certificate {LINEAGE}, which nobody shows any more"
        return f"{told}: certbot delete --cert-name {LINEAGE}" if self.left else ""


def door_state(site: Site, sources: Shown, client: Renewer, notes: Notes, now: float) -> DoorState:
    """Given a site, where certificates are found, what speaks ACME, the notes and the time, return how it stands."""
    mode = site.front_door.certificate.mode
    leaf = sources.shown()
    standing = None if leaf is None else _standing(mode, leaf, now)
    renewal, sound = _RENEWALS[mode](site, sources, client, notes, now)
    good = standing in (None, Standing.VALID, Standing.DUE)
    return DoorState(mode, leaf, standing, renewal, good and sound, mode != "acme" and sources.renewed())


def is_pending(site: Site, sources: Shown, now: float) -> bool:
    """Given a site, return whether the front door is still to show what its mode wants, and an apply can help.

    A provided certificate is put in force by the person who brought it.
    """
    if site.front_door.certificate.mode != "acme":
        return False
    found, shown = sources.issued(site, now), sources.shown()
    return found is None or found.leaf is None or shown is None or found.leaf.mark != shown.mark


def issued_of(leaf: Leaf) -> Issued:
    """Given the certificate that the front door shows, return it as the site's own ones are told."""
    return Issued(FRONT_DOOR, "server", leaf.issuer, leaf.begins, leaf.ends)


def _standing(mode: str, leaf: Leaf, now: float) -> Standing:
    if mode != "provided":
        return issued_of(leaf).standing(now)
    # A person renews it, whatever its life: what counts is the time that is left for that.
    left = leaf.ends - now
    if left <= 0:
        return Standing.EXPIRED
    return Standing.OVERDUE if left < OVERDUE_S else Standing.DUE if left < WARN_S else Standing.VALID


def _internal(site: Site, _sources: Shown, _client: Renewer, _notes: Notes, _now: float) -> tuple[str, bool]:
    if site.certificates.automatic:
        return "by observability-renew.timer", True
    return "by hand: observability cert renew --if-due", True


def _provided(site: Site, sources: Shown, _client: Renewer, _notes: Notes, now: float) -> tuple[str, bool]:
    found = sources.provided(site, now)
    if found.flaws:
        return f"{found.place} is not taken: {words_of(found.flaws)}", False
    if found.leaf and (shown := sources.shown()) and found.leaf.mark != shown.mark:
        return f"{found.place} is newer than what is in force: observability apply", False
    return f"by you: put a new one into {found.place}, then observability apply", True


def _acme(site: Site, sources: Shown, client: Renewer, notes: Notes, now: float) -> tuple[str, bool]:
    found = sources.issued(site, now)
    order = order_of(site)
    if found is None or found.certificate is None:
        attempts = read_attempts(notes.kept(NOTE), order)
        why = "" if found is None else f": {found.place} is not taken: {words_of(found.flaws)}"
        if attempts.count:
            next_one = moment_text(attempts.at + attempts.pause_s)
            why += f"; attempts that failed: {attempts.count}, the last: {attempts.reason}; next from {next_one}"
        return f"not signed yet by {order.directory}{why}", False
    shown = sources.shown()
    if shown is not None and found.leaf is not None and shown.mark != found.leaf.mark:
        return "certbot has got a newer one than is in force: observability apply", False
    if not client.installed():
        return "nobody: certbot is not installed: apt-get install certbot", False
    if not client.renews():
        return "nobody: certbot.timer does not run: systemctl enable --now certbot.timer", False
    return f"by certbot.timer at {order.directory}; at once by {AGAIN}", True


_RENEWALS = {"internal": _internal, "provided": _provided, "acme": _acme}
