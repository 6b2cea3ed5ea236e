"""`observability apply`."""

from __future__ import annotations

import time

from obstack.cli.composition import build_desired, open_channel, who
from obstack.cli.conclude import conclude, confirm, reply_document
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, quiet_option, target_options, wait_option, yes_option
from obstack.cli.progress import reporter
from obstack.cli.views import outcome_lines, plan_lines
from obstack.operations.apply import apply
from obstack.operations.plan import make_plan


@documented("observability apply", "observability apply --yes --wait 120", "observability apply --yes --json")
@target_options()
@yes_option
@wait_option
@quiet_option
@json_option
def command(*, target: Target, yes: bool, wait_s: float, quiet: bool, as_json: bool) -> int:
    """Make the machine what the configuration says, in one transaction.

    The plan is shown and confirmed first. A red gate undoes the change by itself; applying twice changes nothing.
    """
    with reporter(quiet=quiet) as progress:
        desired = build_desired(target, progress)
        channel = open_channel(target, desired.manifest.node)
        plan = None if yes else make_plan(channel, desired, progress)
    if plan is not None and not plan.empty:
        confirm("Apply this?", plan_lines(plan, diffs=False), command="observability apply")
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        reply = apply(channel, desired, progress, who=who(), wait_s=wait_s)
    seconds = time.monotonic() - started
    node = desired.manifest.node
    return conclude(reply, reply_document(node, reply, seconds), outcome_lines(node, reply, seconds), as_json=as_json)
