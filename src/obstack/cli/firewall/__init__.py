"""`observability firewall …`: who may reach the machines, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "show": Command("obstack.cli.firewall.show", "Show what the firewall of a machine lets in, and from where."),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Show who may reach the server and its hosts."""
