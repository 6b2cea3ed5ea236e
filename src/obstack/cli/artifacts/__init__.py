"""`observability artifacts …`: what is deployed and what vouches for it, one file a command."""

from __future__ import annotations

import click

from obstack.cli.lazy import Command, LazyGroup

COMMANDS: dict[str, Command] = {
    "list": Command("obstack.cli.artifacts.listing", "List what each node is given, by the lock file."),
    "verify": Command(
        "obstack.cli.artifacts.verify",
        "Read every archive here and every unpacked file on the nodes again; exit 1 when one is not as locked.",
    ),
    "sbom": Command(
        "obstack.cli.artifacts.sbom", "Write the bill of materials of every node, and of this program, as CycloneDX."
    ),
    "licences": Command("obstack.cli.artifacts.licences", "List what is deployed under which licence."),
}
"""Every command of the group; the module is imported when it is used."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def command() -> None:
    """Show and verify what is deployed: artifacts, their parts and licences."""
