"""`observability host check`."""

from __future__ import annotations

import click

from obstack.agent.wire import encode
from obstack.cli import completing
from obstack.cli.composition import SystemClock, load_modules
from obstack.cli.host.common import host_channel, read_configuration
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import finding_lines
from obstack.errors import CheckFailed


@documented("observability host check web-1", "observability host check web-1 --json")
@click.argument("name", shell_complete=completing.hosts)
@target_options(Scope.FILES)
@quiet_option
@json_option
def command(*, name: str, target: Target, quiet: bool, as_json: bool) -> int:
    """Judge whether a host can be monitored as its file says; exit 1 when something blocks, 6 when it is not reached.

    SSH, sudo, Python, systemd, suite and architecture, clock, free ports, units, space: everything is found at once,
    each finding with its remedy. Nothing is changed.
    """
    from obstack.cli.provision import host_platform
    from obstack.cli.supply import make_supply
    from obstack.operations.host_check import check_host
    from obstack.plan.preflight import blocked

    loaded = read_configuration(target)
    site = loaded.site
    channel = host_channel(target, site, name)
    modules = load_modules(target, site)
    with reporter(quiet=quiet) as progress:
        platform = host_platform(site.hosts[name], make_supply(target, site, progress))
        findings = check_host(channel, site, modules, name, platform, SystemClock(), progress)
    if as_json:
        document = {"host": name, "ready": not blocked(findings), "findings": [encode(finding) for finding in findings]}
        print_json(document)
    else:
        for line in finding_lines(findings):
            print_line(line)
    return CheckFailed.exit_code if blocked(findings) else 0
