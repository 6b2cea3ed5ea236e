"""`observability host …`: the monitored hosts, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "add": Command("obstack.cli.host.add", "Write a new host's file, judged before it is written."),
    "list": Command("obstack.cli.host.listing", "List the monitored hosts."),
    "show": Command("obstack.cli.host.show", "Show a host: values in force, where each comes from, and its modules."),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Add, list and show monitored hosts."""
