"""`observability cert …`: the certificates between server and hosts, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "status": Command("obstack.cli.cert.status", "Show every certificate; exit 1 when one is overdue or has expired."),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Show the certificates between server and hosts."""
