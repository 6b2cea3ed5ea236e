"""`observability audit …`: who changed what and when on each machine, and whether that log is whole."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "show": Command("obstack.cli.audit.show", "Show who changed what and when on the machines."),
    "verify": Command(
        "obstack.cli.audit.verify", "Judge whether the machines' audit logs are whole; exit 1 when one is not."
    ),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Show who changed what and when on the machines, and verify that log.

    It has one entry for each change of a machine, and each seals those before it.
    """
