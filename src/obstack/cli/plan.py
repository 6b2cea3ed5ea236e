"""`observability plan`."""

from __future__ import annotations

import click

from obstack.cli.composition import build_desired, open_channel
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import plan_lines
from obstack.operations.plan import make_plan


@documented("observability plan", "observability plan --verbose", "observability plan --environment staging --json")
@target_options()
@click.option("--verbose", "-v", is_flag=True, help="Show the lines of new files too.")
@quiet_option
@json_option
def command(*, target: Target, verbose: bool, quiet: bool, as_json: bool) -> None:
    """Show what an apply would change, which unit it would act on, and why.

    Nothing is changed. The lines of secret files are never shown.
    """
    with reporter(quiet=quiet) as progress:
        desired = build_desired(target, progress)
        plan = make_plan(open_channel(target, desired.manifest.node), desired, progress)
    if as_json:
        print_json(plan.to_json())
        return
    for line in plan_lines(plan, diffs=True, additions=verbose):
        print_line(line)
