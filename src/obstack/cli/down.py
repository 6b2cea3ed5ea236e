"""`observability down`."""

from __future__ import annotations

from pathlib import Path

import click

from obstack.cli.lazy import documented
from obstack.cli.options import quiet_option
from obstack.cli.output import print_line
from obstack.cli.private import private_target, root_option
from obstack.cli.progress import reporter
from obstack.edges.embedded.root import PrivateRoot
from obstack.edges.embedded.supervisord import Supervisord


@documented("observability down", "observability down --purge")
@root_option
@click.option("--purge", is_flag=True, help="Remove the folder too: configuration, secrets, metrics and logs.")
@quiet_option
def command(*, root: Path | None, purge: bool, quiet: bool) -> None:
    """Stop the stack that `observability up` started. Its data stay, unless --purge removes the folder."""
    target = private_target(root)
    folder = PrivateRoot(Path(target.layout.root))
    if not folder.path.exists():
        print_line(f"There is no stack in {folder.path}.")
        return
    folder.demand_ours()
    with folder.locked(), reporter(quiet=quiet) as progress:
        progress.step("Stopping the stack")
        stopped = Supervisord(target.layout).stop()
        if purge:
            progress.step(f"Removing {folder.path}")
            folder.purge()
    print_line("The stack is stopped." if stopped else "The stack was not running.")
    print_line(f"{folder.path} is removed." if purge else "Its data are kept; observability up starts it again.")
