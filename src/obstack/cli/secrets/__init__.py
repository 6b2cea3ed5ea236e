"""`observability secrets …`: the values behind `secret:NAME`, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "init": Command("obstack.cli.secrets.init", "Draw every secret that is missing and ours to draw."),
    "set": Command("obstack.cli.secrets.set", "Keep a value that somebody else has given, read from standard input."),
    "list": Command("obstack.cli.secrets.listing", "List the secrets: where each is kept, how old it is, who uses it."),
    "rotate": Command(
        "obstack.cli.secrets.rotate", "Give secrets new values, which take the old ones' place once they are proven."
    ),
    "migrate": Command(
        "obstack.cli.secrets.migrate",
        "Move secrets that stand in configuration files as plain text to where secrets are kept.",
    ),
    "check": Command("obstack.cli.secrets.check", "Judge all secrets; exit 1 when something is wrong with one."),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Draw, set, list, rotate, move and check the secrets that the configuration refers to."""
