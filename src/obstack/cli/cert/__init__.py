"""`observability cert …`: the certificates between server and hosts, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "status": Command("obstack.cli.cert.status", "Show every certificate; exit 1 when one is overdue or has expired."),
    "renew": Command("obstack.cli.cert.renew", "Renew certificates, and apply the machines that have them."),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Show and renew the certificates between server and hosts."""
