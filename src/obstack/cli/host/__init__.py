"""`observability host …`: the monitored hosts, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "add": Command("obstack.cli.host.add", "Write a new host's file, judged before it is written."),
    "list": Command("obstack.cli.host.listing", "List the monitored hosts."),
    "show": Command("obstack.cli.host.show", "Show a host: values in force, where each comes from, and its modules."),
    "detect": Command("obstack.cli.host.detect", "Find out which services a host has, and which modules fit them."),
    "check": Command(
        "obstack.cli.host.check", "Judge whether a host can be monitored: reached, permitted, fitting, free."
    ),
    "join": Command(
        "obstack.cli.host.join",
        "Answer a host that sets itself up: describe it, say what its agent is to look for, and write what that saw.",
    ),
    "bundle": Command(
        "obstack.cli.host.bundle", "Write one file that makes a host without network or SSH what it must be."
    ),
    "remove": Command(
        "obstack.cli.host.remove", "Take a host out: its file, targets and certificates; with --clean its stack too."
    ),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Add, list, show, detect, check, bundle and remove monitored hosts."""
