"""`observability apply`."""

from __future__ import annotations

import time

import click

from obstack.agent import wire
from obstack.cli.composition import build_desired, build_nodes, who
from obstack.cli.conclude import conclude, confirm, reply_document
from obstack.cli.door import complete
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes, choose_nodes
from obstack.cli.options import (
    Target,
    json_option,
    nodes_options,
    pace_options,
    parallel_option,
    quiet_option,
    target_options,
    wait_option,
    yes_option,
)
from obstack.cli.progress import reporter
from obstack.cli.settling import settle_rotation
from obstack.cli.views import outcome_lines, plan_lines
from obstack.edges.run_record import FileRunRecord
from obstack.errors import UsageError
from obstack.operations.apply import apply
from obstack.operations.desired import Desired
from obstack.operations.plan import make_plan
from obstack.ports import Channel, Reporter


@documented(
    "observability apply",
    "observability apply --yes --wait 120",
    "observability apply --host web-1 --host mon-1",
    "observability apply --limit web --canary web-1 --batch 10% --max-failures 1",
    "observability apply --resume",
    "observability apply --yes --json",
)
@target_options()
@nodes_options
@pace_options
@parallel_option
@yes_option
@wait_option
@quiet_option
@json_option
def command(
    *,
    target: Target,
    hosts: tuple[str, ...],
    limits: tuple[str, ...],
    canaries: tuple[str, ...],
    batch: str | None,
    max_failures: int | None,
    resume: bool,
    parallel: int | None,
    yes: bool,
    wait_s: float,
    quiet: bool,
    as_json: bool,
) -> int:
    """Make the machines what the configuration says, in one transaction each.

    The plan is shown and confirmed first. A red gate undoes the change by itself; applying twice changes nothing. The
    hosts come first, canaries before batches, and the server last; more failures than allowed stop the run, and
    machines that are away are reported and stop nobody.
    """
    settle_rotation(target, quiet=quiet, wait_s=wait_s)
    nodes = choose_nodes(target, hosts, limits, judged=True)
    if nodes.site is None and resume:
        raise _nothing_to_resume()
    if nodes.site is not None and (resume or not nodes.single):
        from obstack.cli.fleet import FleetApply, decide_course

        course = decide_course(
            nodes.site,
            parallel=parallel,
            max_failures=max_failures,
            canaries=canaries or None,
            batch=batch,
            resume=resume,
        )
        record = FileRunRecord(target.configuration)
        return FleetApply(nodes, course, record, quiet, wait_s, as_json).run(ask=not yes)
    return apply_one(nodes, yes=yes, wait_s=wait_s, quiet=quiet, as_json=as_json)


def desired_of(nodes: Nodes, progress: Reporter, *, keep_door: bool = False) -> Desired:
    """Given a single node, return what the configuration says it must be. `keep_door` is as for `build_nodes`."""
    if nodes.site is None:
        return build_desired(nodes.target, progress, keep_door=keep_door)
    (name,) = nodes.names
    return build_nodes(nodes.target, nodes.site, (name,), progress, keep_door=keep_door)[name]


def apply_one(nodes: Nodes, *, yes: bool, wait_s: float, quiet: bool, as_json: bool, keep_door: bool = False) -> int:
    """Given a single node, plan and ask unless `yes`, apply, print how it ended, and return the exit code."""
    with reporter(quiet=quiet) as progress:
        desired = desired_of(nodes, progress, keep_door=keep_door)
        node = desired.manifest.node
        channel = nodes.open(node)
        plan = None if yes else make_plan(channel, desired, progress)
    if plan is not None and not plan.empty:
        confirm("Apply this?", plan_lines(plan, diffs=False), command="observability apply")
    reply, seconds = send_one(nodes.target, desired, channel, wait_s=wait_s, quiet=quiet)
    return conclude(reply, reply_document(node, reply, seconds), outcome_lines(node, reply, seconds), as_json=as_json)


def send_one(
    target: Target, desired: Desired, channel: Channel, *, wait_s: float, quiet: bool, with_door: bool = True
) -> tuple[wire.Reply, float]:
    """Given what a single node must be and the channel to it, apply that; return the reply and how long it took.

    `with_door` sees to the certificate of the front door as well, which may take a second transaction.
    """
    node = desired.manifest.node
    FileRunRecord(target.configuration).forget(node)
    # This run works on no other machine, so that it proves nothing of the hosts that the server watches.
    unproven = tuple(desired.site.hosts) if node == desired.site.server.name else ()
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:

        def change(desired: Desired) -> wire.Reply:
            return apply(channel, desired, progress, who=who(), wait_s=wait_s, unproven=unproven)

        reply = change(desired)
        if with_door:
            reply = complete(target, desired, reply, progress, change)
    return reply, time.monotonic() - started


def _nothing_to_resume() -> UsageError:
    context = click.get_current_context()
    return UsageError(
        code="nothing-to-resume",
        what="There are no hosts, and a server alone is changed in one transaction: there is nothing to go on with.",
        where=f"the command line of `{context.command_path}`",
        state="nothing was touched",
        do="observability apply",
    )
