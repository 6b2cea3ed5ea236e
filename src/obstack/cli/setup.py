"""`observability setup`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from obstack.agent import wire
from obstack.cli.composition import build_desired, judge, open_channel, site_secrets, who
from obstack.cli.conclude import conclude, confirm, reply_document
from obstack.cli.door import complete, prepare_certbot
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options, wait_option, yes_option
from obstack.cli.progress import reporter
from obstack.cli.views import count, finding_lines, outcome_lines, plan_lines
from obstack.errors import CheckFailed, UsageError
from obstack.model.secret import reference_name
from obstack.operations.apply import apply
from obstack.operations.desired import Desired
from obstack.operations.inspection import front_door
from obstack.operations.plan import make_plan
from obstack.operations.preflight import Preflight


@documented(
    "observability setup --observability",
    "observability setup --observability --yes --json",
    "observability setup --monitored-host 192.0.2.1 --ssh admin@mon-1.example.org",
)
@click.option("--observability", is_flag=True, help="Set this machine up as the server of the stack.")
@click.option(
    "--monitored-host", "server", metavar="SERVER_ADDRESS", help="Set this machine up as a host of that server."
)
@click.option("--ssh", metavar="[USER@]SERVER", help="Where ssh goes from here. [default: the server's address]")
@click.option("--name", metavar="NAME", help="Name of this host. [default: its host name]")
@click.option("--address", metavar="ADDRESS", help="Where the server scrapes it. [default: what leads to the server]")
@click.option("--server-program", metavar="PATH", help="The program on the server. [default: observability]")
@target_options(Scope.SERVER)
@yes_option
@wait_option
@quiet_option
@json_option
def command(
    *,
    observability: bool,
    server: str | None,
    ssh: str | None,
    name: str | None,
    address: str | None,
    server_program: str | None,
    target: Target,
    yes: bool,
    wait_s: float,
    quiet: bool,
    as_json: bool,
) -> int:
    """Set a machine up: preflight, plan, confirmation, one transaction, and every gate green.

    Running it again is an apply: what is in place already is not touched. With --monitored-host this machine asks the
    server by ssh for all it takes, applies that, and has the server take it in.
    """
    joining = {"--ssh": ssh, "--name": name, "--address": address, "--server-program": server_program}
    if server is not None:
        return _join(server, joining, observability=observability, yes=yes, as_json=as_json)
    if any(joining.values()):
        raise click.UsageError(f"{', '.join(joining)} go with --monitored-host only.")
    if not observability:
        raise UsageError(
            code="usage",
            what="It was not said what to set up.",
            where="the command line of `observability setup`",
            state="nothing was touched",
            do="observability setup --observability    or: observability setup --monitored-host SERVER_ADDRESS",
        )
    with reporter(quiet=quiet) as progress:
        judged = judge(target, progress)
    _demand_ready(judged, as_json=as_json)
    with reporter(quiet=quiet) as progress:
        desired = build_desired(target, progress)
        channel = open_channel(target, desired.manifest.node)
        plan = None if yes else make_plan(channel, desired, progress)
    if plan is not None and not plan.empty:
        findings = finding_lines(judged.findings) if judged.findings else []
        confirm(
            "Set this machine up?",
            [*findings, *plan_lines(plan, diffs=False)],
            command="observability setup --observability",
        )
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        prepare_certbot(desired.site, progress)

        def change(desired: Desired) -> wire.Reply:
            # Nothing was done to the hosts yet: whether they can be scraped says nothing about the server.
            return apply(channel, desired, progress, who=who(), wait_s=wait_s, unproven=tuple(desired.site.hosts))

        reply = complete(target, desired, change(desired), progress, change)
    node, seconds = desired.manifest.node, time.monotonic() - started
    access = _access(target, desired)
    lines = outcome_lines(node, reply, seconds)
    if reply.fault is None:
        lines += ["", *_next_steps(access, len(desired.site.hosts))]
    return conclude(reply, reply_document(node, reply, seconds) | access, lines, as_json=as_json)


def _join(server: str, joining: Mapping[str, str | None], *, observability: bool, yes: bool, as_json: bool) -> int:
    """Set this machine up as a host of a server, and return the exit code."""
    from obstack.agent import join

    if observability:
        raise click.UsageError("A machine is either the server or one of its hosts.")
    words = [word for option, value in joining.items() if value for word in (option, value)]
    return join.main([*words, *(["--yes"] if yes else []), *(["--json"] if as_json else []), "--", server])


def _demand_ready(judged: Preflight, *, as_json: bool) -> None:
    """Raise CheckFailed when a finding blocks. All findings are shown before it, or are in it for a document."""
    if judged.blocked:
        findings = finding_lines(judged.findings)
        if not as_json:
            for line in findings:
                click.echo(line, err=True)
        raise CheckFailed(
            code="preflight-blocked",
            what="Preflight found what must be put right first.",
            where="this machine and its configuration",
            state="nothing was changed",
            do="observability preflight --observability-vps    shows the same again; --fix does what is safe",
            detail=click.unstyle("\n".join(findings)) if as_json else None,
        )


def _access(target: Target, desired: Desired) -> dict[str, Any]:
    """Return where the stack is reached and where the password is; never the password itself."""
    url = front_door(desired.manifest) or ""
    user = desired.site.front_door.users[0]
    return {
        "urls": {"front door": url, "prometheus": f"{url}prometheus/", "alertmanager": f"{url}alertmanager/"},
        "login": user.name,
        "password_file": site_secrets(target, desired.site).place(reference_name(user.password)),
    }


def _next_steps(access: dict[str, Any], hosts: int) -> list[str]:
    bring = (
        f"  observability apply                 bring {count(hosts, 'monitored host')} to what the configuration says"
    )
    return [
        *(f"{name:<13} {url}" for name, url in access["urls"].items()),
        f"{'login':<13} {access['login']}, password in {access['password_file']}",
        "",
        "What next:",
        *([bring] if hosts else []),
        "  observability health --verbose      prove again that everything works",
        "  observability plan                  after a change of the configuration: what would change",
        "  observability apply                 make the change; a red gate undoes it",
        "  observability rollback --auto       go back to the generation before",
    ]
