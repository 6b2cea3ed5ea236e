"""`observability preflight`."""

from __future__ import annotations

import click

from obstack.agent.wire import encode
from obstack.cli.composition import judge, repair_secrets
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line, sanitize
from obstack.cli.progress import reporter
from obstack.cli.views import finding_lines
from obstack.errors import CheckFailed


@documented(
    "observability preflight --observability-vps",
    "observability preflight --observability-vps --fix",
    "observability preflight --observability-vps --json",
)
@click.option("--observability-vps", is_flag=True, help="Judge this machine as the server of the stack. [default]")
@click.option("--fix", is_flag=True, help="First do what is safe: draw missing passwords, close secrets to others.")
@target_options(Scope.SERVER)
@quiet_option
@json_option
def command(*, observability_vps: bool, fix: bool, target: Target, quiet: bool, as_json: bool) -> int:
    """Judge machine and configuration before anything is written; exit 1 when something blocks.

    Everything is found at once, each finding with its remedy. Nothing is changed, unless --fix is given.
    """
    del observability_vps  # the only role there is; the word makes the command say what it means
    with reporter(quiet=quiet) as progress:
        repaired = repair_secrets(target) if fix else ()
        result = judge(target, progress)
    if as_json:
        print_json(
            {
                "ready": not result.blocked,
                "findings": [encode(finding) for finding in result.findings],
                "repaired": list(repaired),
            }
        )
    else:
        for done in repaired:
            print_line(f"fixed  {sanitize(done)}")
        for line in finding_lines(result.findings):
            print_line(line)
    return CheckFailed.exit_code if result.blocked else 0
