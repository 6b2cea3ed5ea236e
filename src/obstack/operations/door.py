"""The certificate of the front door: which one to show, and how an authority is asked for one without wearing it out.

Whatever goes wrong here, the door goes on with what it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from obstack.agent import wire
from obstack.errors import ChangeFailed, StackError, Unreachable, UsageError
from obstack.model.rules import Finding
from obstack.model.site import Site
from obstack.plan.door import (
    NOTE,
    WARN_S,
    Attempts,
    Door,
    Flaw,
    Found,
    Order,
    Part,
    decide_door,
    failed,
    order_of,
    read_attempts,
    words_of,
)
from obstack.plan.preflight import Finding as Judgement
from obstack.plan.preflight import Severity
from obstack.ports import Clock, Reporter
from obstack.render.materials import Certificate

GOES_ON = "the front door goes on with the certificate that it has"
AGAIN = "observability cert renew front-door"


class Sources(Protocol):
    """Where certificates of the front door are found."""

    def provided(self, site: Site, now: float) -> Found:
        """Given a site whose mode is provided, and the time, return its certificate with every flaw."""

    def issued(self, site: Site, now: float) -> Found | None:
        """Given a site whose mode is acme, and the time, return what certbot has got for it; None for nothing yet."""

    def current(self, site: Site, now: float) -> Found | None:
        """Given a site and the time, return what the front door shows now; None where there is no front door yet."""

    def authority(self, site: Site) -> tuple[str, tuple[Flaw, ...]]:
        """Given a site, return the certificate of the authority that it names, as PEM, and what is wrong with it."""


class Ended(Protocol):
    """How a program ended."""

    @property
    def code(self) -> int:
        """Its exit code."""

    @property
    def output(self) -> str:
        """The end of what it said."""


class Renewer(Protocol):
    """What renews an authority's certificate by itself."""

    def installed(self) -> bool:
        """Return whether it is there."""

    def renews(self) -> bool:
        """Return whether its timer runs, which renews what is due."""


class Client(Renewer, Protocol):
    """What speaks ACME."""

    def rehearse(self, order: Order, webroot: str) -> Ended:
        """Given an order and the folder of the challenges, try it out where failures cost nothing."""

    def request(self, order: Order, webroot: str, authority: str, *, anew: bool) -> Ended:
        """Given an order, the folder of the challenges and the authority's certificate, ask for a certificate."""


class Challenges(Protocol):
    """The folder from which challenges are answered, and the ways that lead to it."""

    webroot: str

    def directory_fault(self, url: str, authority: str) -> str:
        """Given the address of an authority's directory, return why it cannot be spoken to; empty when it can."""

    def own_fault(self, name: str) -> str:
        """Given a name, return why this machine does not answer a challenge for it; empty when it does."""

    def public_fault(self, name: str) -> tuple[str, bool]:
        """Given a name, return why nothing good comes back from where it leads, and whether something else did."""


class Notes(Protocol):
    """Where the attempts that failed are remembered."""

    def kept(self, name: str) -> bytes | None:
        """Given a name, return the note."""

    def keep(self, name: str, content: bytes) -> None:
        """Given a name and content, keep the note durably."""

    def forget(self, name: str) -> bool:
        """Given a name, remove the note; return whether there was one."""


def settle_door(site: Site, own: Callable[[], Certificate], sources: Sources | None, now: float) -> Door:
    """Given a site, what makes its own certificate, where others are found, and the time, decide what the door shows.

    Without `sources` there are only the site's own certificates.
    """
    mode = site.front_door.certificate.mode
    if mode == "internal":
        return decide_door(site, own(), None, None)
    if sources is None:
        raise UsageError(
            code="certificate-needs-server",
            what=f"front_door.certificate.mode is {mode}, which is for a server.",
            where="this private root",
            state="nothing was touched",
            do="take front_door.certificate out of the configuration of this private root",
        )
    new = sources.provided(site, now) if mode == "provided" else sources.issued(site, now)
    if new is not None and new.certificate is not None:
        return decide_door(site, new.certificate, new, None)
    return decide_door(site, own(), new, sources.current(site, now))


def file_findings(site: Site, sources: Sources, now: float) -> list[Finding]:
    """Given a site, return what is wrong with the files of its certificate, each as a finding at its key."""
    mode, section = site.front_door.certificate.mode, ("front_door", "certificate")
    flaws: tuple[Flaw, ...] = ()
    if mode == "provided" and _named(site):
        flaws = sources.provided(site, now).flaws
    elif mode == "acme":
        flaws = sources.authority(site)[1]
    return [Finding((*section, flaw.part.value), flaw.message, flaw.remedy, (*section, "mode")) for flaw in flaws]


def door_findings(site: Site, sources: Sources, client: Renewer, now: float) -> list[Judgement]:
    """Given a site, return what a person should know of its door's certificate before an apply; none of it blocks."""
    choice = site.front_door.certificate
    place = "front_door.certificate"
    if choice.mode == "acme" and not client.installed():
        what = "certbot, which asks the authority for the certificate, is not installed; setup installs it."
        return [Judgement(Severity.WARN, "certbot-missing", what, place, "apt-get install certbot")]
    if choice.mode == "acme" and not client.renews():
        what = "certbot's timer does not run, so the certificate would not be renewed."
        return [Judgement(Severity.WARN, "certbot-timer", what, place, "systemctl enable --now certbot.timer")]
    if choice.mode == "provided" and _named(site):
        found = sources.provided(site, now)
        if found.certificate is not None and found.leaf is not None and found.leaf.ends - now < WARN_S:
            days = int((found.leaf.ends - now) / 86400)
            what = f"The provided certificate of the front door is valid for another {days} days only."
            return [Judgement(Severity.WARN, "certificate-ends", what, found.place, "put a new one in its place")]
    return []


def _named(site: Site) -> bool:
    return bool(site.front_door.certificate.chain and site.front_door.certificate.key)


# ---------------------------------------------------------------------------------------------- asking an authority


@dataclass(frozen=True)
class Asking:
    """What is needed for asking an authority. `authority` is its own certificate; empty where all know it."""

    client: Client
    challenges: Challenges
    notes: Notes
    clock: Clock
    authority: str


def obtain(site: Site, asking: Asking, reporter: Reporter, *, anew: bool = False, at_once: bool = False) -> None:
    """Given a site whose mode is acme, ask its authority for the certificate.

    With `anew` one that has not ended is replaced. Nothing is asked before it is known that the challenge can be
    answered, nor, unless `at_once`, soon after an attempt that failed. Where the authority has a place for trying out,
    that is asked first. Raises ChangeFailed, or Unreachable for an authority that cannot be spoken to; then the door
    goes on with what it has.
    """
    order = order_of(site)
    attempts = read_attempts(asking.notes.kept(NOTE), order)
    if not at_once and not attempts.may_try(asking.clock.now()):
        raise _too_soon(order, attempts)
    if not asking.client.installed():
        raise _failure(
            "certbot-missing",
            "certbot, which asks the authority for the certificate, is not installed.",
            order,
            "apt-get install certbot    and run: observability apply",
        )
    reporter.step(f"Looking whether {order.directory} and the challenge can be reached")
    doubts = _demand_ways(order, asking)
    # Noted before the authority is asked: a run that dies in between must not make the next one ask at once.
    begun = failed(attempts, asking.clock.now(), "it was not seen how the attempt ended")
    asking.notes.keep(NOTE, begun.document())
    if order.rehearsed:
        reporter.step("Trying out the challenge, where failures cost nothing")
        _demand(asking.client.rehearse(order, asking.challenges.webroot), order, begun, asking, doubts)
    reporter.step(f"Asking {order.directory} for the certificate of {', '.join(order.names)}")
    _demand(
        asking.client.request(order, asking.challenges.webroot, asking.authority, anew=anew),
        order,
        begun,
        asking,
        doubts,
    )
    asking.notes.forget(NOTE)


def _demand_ways(order: Order, asking: Asking) -> list[str]:
    """Raise when the authority or the challenge certainly cannot be reached; return what is doubtful."""
    fault = asking.challenges.directory_fault(order.directory, asking.authority)
    if fault:
        raise Unreachable(
            code="authority-unreachable",
            what="The authority that is to sign the front door's certificate could not be reached.",
            where=f"{order.directory}: {fault}",
            state=f"{GOES_ON}; the authority was not asked for anything",
            do="observability apply    when it is back; it counts as no attempt",
        )
    doubts = []
    for name in order.names:
        fault = asking.challenges.own_fault(name)
        if fault:
            raise _failure(
                "challenge-unanswered",
                f"This machine's front door would not answer the authority's challenge for {name}: {fault}.",
                order,
                "observability health    and when it is healthy: observability apply",
            )
        fault, astray = asking.challenges.public_fault(name)
        if fault and astray:
            raise _failure(
                "challenge-astray",
                f"{name} does not lead to this machine: {fault}.",
                order,
                f"let {name} lead to this server in the DNS, then run: observability apply",
            )
        if fault:
            doubts.append(f"from here, {name}: {fault}")
    return doubts


def _demand(ended: Ended, order: Order, attempts: Attempts, asking: Asking, doubts: list[str]) -> None:
    if ended.code == 0:
        return
    said = "\n".join([*doubts, ended.output])
    asking.notes.keep(NOTE, replace(attempts, reason=_gist(ended)).document())
    raise _failure(
        "certificate-not-issued",
        f"The authority gave no certificate for {', '.join(order.names)}.",
        order,
        f"let port 80 of {order.names[0]} lead to this server (/var/log/letsencrypt/letsencrypt.log says what the "
        f"authority saw), then run: {AGAIN}    the next apply that asks again by itself is one from "
        f"{_moment(attempts)}",
        said,
    )


def _gist(ended: Ended) -> str:
    """Return the line that tells a person most, for showing it again; nothing is decided by it."""
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    details = [line for line in lines if line.startswith("Detail:")]
    others = [line for line in lines if not line.startswith(("Ask for help", "Saving debug log"))]
    return (details or others or [f"exit code {ended.code}"])[-1][:300]


def _too_soon(order: Order, attempts: Attempts) -> ChangeFailed:
    count = f"{attempts.count} attempt{'' if attempts.count == 1 else 's'}"
    return _failure(
        "certificate-pause",
        f"The authority is left alone until {_moment(attempts)}: {count} failed, the last at "
        f"{moment_text(attempts.at)}: {attempts.reason}",
        order,
        f"put right what was in the way, then run: {AGAIN}    it asks at once",
    )


def _failure(code: str, what: str, order: Order, do: str, detail: str | None = None) -> ChangeFailed:
    return ChangeFailed(code=code, what=what, where=order.directory, do=do, state=GOES_ON, detail=detail)


def _moment(attempts: Attempts) -> str:
    return moment_text(attempts.at + attempts.pause_s)


def moment_text(seconds: float) -> str:
    """Given seconds since 1970, return the moment for people."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# ------------------------------------------------------------------------------------------- what is said of it after


def refusal(found: Found | None) -> StackError:
    """Given a certificate that is not good, or none, return the error for a run that goes on without it."""
    if found is None:
        found = Found("certbot's certificate", (Flaw(Part.CHAIN, "is not there", AGAIN),))
    return ChangeFailed(
        code="certificate-refused",
        what=f"The new certificate of the front door was not taken: {words_of(found.flaws)}.",
        where=found.place,
        state=GOES_ON,
        do=f"{found.flaws[0].remedy}    or have a new one signed: {AGAIN}",
    )


def with_error(reply: wire.Reply, error: StackError) -> wire.Reply:
    """Given the reply to a change that went well, and what is wrong with the certificate, return a reply with both."""
    if reply.fault is not None:
        return reply
    fault = wire.Fault(error.exit_code, error.code, error.what, error.where, error.do, error.state, error.detail)
    return replace(reply, fault=fault)
