"""`observability host detect`."""

from __future__ import annotations

import click

from obstack.cli import completing
from obstack.cli.host.common import host_files
from obstack.cli.host.looking import added_line, detection_document, detection_lines, look_at_host, look_here
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter


@documented(
    "observability host detect web-1",
    "observability host detect web-1 --write",
    "observability host detect --json",
)
@click.argument("name", required=False, shell_complete=completing.hosts)
@click.option("--write", is_flag=True, help="Add what was found to the host's file; what stands there stays.")
@target_options(Scope.FILES)
@quiet_option
@json_option
def command(*, name: str | None, write: bool, target: Target, quiet: bool, as_json: bool) -> None:
    """Find out which services a host has, and which modules fit them: this machine without NAME.

    Nothing is run on the host but the system's own tools, and nothing is changed there. The evidence is shown.
    """
    if write and name is None:
        raise click.UsageError("--write needs the NAME of the host whose file is written.")
    added: tuple[str, ...] = ()
    with reporter(quiet=quiet) as progress:
        if name is None:
            detection = look_here(target, progress)
        else:
            detection, added = look_at_host(target, name, progress, write=write)
    if as_json:
        print_json({"host": detection.node} | detection_document(detection) | ({"added": added} if write else {}))
        return
    for line in detection_lines(detection, name or "NAME"):
        print_line(line)
    if write and name is not None:
        print_line(added_line(host_files(target).place(name), added))
