"""`observability cert …`: the certificates of the site, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "status": Command("obstack.cli.cert.status", "Show every certificate; exit 1 when one is overdue or has expired."),
    "renew": Command("obstack.cli.cert.renew", "Renew certificates, and apply the machines that have them."),
    "deploy": Command("obstack.cli.cert.deploy", "Put in force the front door's certificate that certbot has got."),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Show and renew the certificates of the front door, and those between server and hosts."""
