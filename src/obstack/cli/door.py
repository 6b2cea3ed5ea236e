"""The front door's certificate at the end of a run: what the mode wants is asked for, proven, and put in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from obstack.agent import wire
from obstack.cli.composition import SystemClock, build_nodes, configurations, door_files, file_secrets
from obstack.cli.options import Target
from obstack.cli.progress import reporter
from obstack.errors import ConfigurationError, StackError, UsageError
from obstack.operations.desired import Desired
from obstack.operations.door import (
    Asking,
    Sources,
    door_findings,
    file_findings,
    obtain,
    refusal,
    with_error,
)
from obstack.plan.door import Origin
from obstack.ports import Reporter

if TYPE_CHECKING:
    from obstack.model.rules import Finding
    from obstack.model.site import Site
    from obstack.plan.preflight import Finding as Judgement


def demand_files(target: Target, site: Site, doors: Sources) -> None:
    """Raise ConfigurationError, with all that is wrong, when a file that the certificate is made of is no good."""
    findings = file_findings(site, doors, SystemClock().now())
    if findings:
        sources = configurations(target).examine(target.environment).sources
        problems = [sources.problem(finding) for finding in findings]
        raise ConfigurationError(problems, do="observability config validate    after correcting them")


def judge_files(target: Target) -> Callable[[Site], list[Finding]]:
    """Given a target, return what judges the files of its certificate as a part of its configuration."""
    doors = door_files(target)
    return lambda site: [] if target.private else file_findings(site, doors, SystemClock().now())


def judge_door(target: Target) -> Callable[[Site], list[Judgement]]:
    """Given a target, return what judges, before an apply, whether the mode of the certificate can be served."""
    from obstack.edges.certbot import Certbot

    client, doors = Certbot(), door_files(target)
    return lambda site: [] if target.private else door_findings(site, doors, client, SystemClock().now())


def ask_authority(target: Target, site: Site, progress: Reporter, *, anew: bool = False, at_once: bool = False) -> None:
    """Given a site whose mode is acme, ask its authority for the certificate. `anew` and `at_once` are as for `obtain`.

    Raises what that raises.
    """
    from obstack.edges.certbot import Certbot
    from obstack.edges.challenge import Challenges
    from obstack.render.nginx_challenge import webroot

    challenges = Challenges(webroot(target.layout), site.front_door.http_port)
    asking = Asking(Certbot(), challenges, file_secrets(target), SystemClock(), door_files(target).authority(site)[0])
    obtain(site, asking, progress, anew=anew, at_once=at_once)


def ask_by_name(target: Target, site: Site, *, quiet: bool) -> None:
    """Given a site whose front door shows a certificate of others, ask its authority for a new one, by a wish.

    Raises UsageError where a person brings it.
    """
    if site.front_door.certificate.mode != "acme":
        raise UsageError(
            code="certificate-provided",
            what="The certificate of the front door is one that you provide: only you can renew it.",
            where="front_door.certificate.mode",
            state="nothing was touched",
            do=f"put a new one into {site.front_door.certificate.chain}, then run: observability apply",
        )
    with reporter(quiet=quiet) as progress:
        ask_authority(target, site, progress, anew=True, at_once=True)


def prepare_certbot(site: Site, progress: Reporter) -> None:
    """Given a site, put certbot on this machine when the mode is acme and it is not there. Raises ChangeFailed."""
    from obstack.edges.certbot import Certbot

    client = Certbot()
    if site.front_door.certificate.mode == "acme" and not client.installed():
        progress.step("Installing certbot of the distribution")
        client.install()


def complete(
    target: Target, desired: Desired, reply: wire.Reply, progress: Reporter, again: Callable[[Desired], wire.Reply]
) -> wire.Reply:
    """Given what the server was to be and the reply to it, see to its certificate, and return the reply of the whole.

    A certificate that the authority must still sign is asked for, now that the challenge is answered; then `again`
    applies the server with it. What goes wrong with it becomes the fault of the reply: the door goes on as it is.
    """
    door = desired.door
    if door is None or reply.fault is not None:
        return reply
    if door.refused is not None:
        return with_error(reply, refusal(door.refused))
    if not door.wanting:
        return reply
    site = desired.site
    try:
        ask_authority(target, site, progress, anew=door.anew)
        issued = build_nodes(target, site, (site.server.name,), progress)[site.server.name]
        demand_issued(issued)
    except StackError as error:
        return with_error(reply, error)
    return again(issued)


def demand_issued(desired: Desired) -> None:
    """Raise ChangeFailed when what the authority has given is not what the front door would show."""
    door = desired.door
    if door is not None and door.origin is not Origin.ACME:
        raise refusal(door.refused)
