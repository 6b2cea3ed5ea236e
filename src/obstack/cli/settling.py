"""Settles what a rotation of secrets that died has left, before anything else is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from obstack.cli.options import Target

if TYPE_CHECKING:
    from obstack.model.site import Site
    from obstack.ports import Reporter

WHERE = "secrets/.kept/rotation"


def settle_rotation(target: Target, *, quiet: bool, wait_s: float) -> None:
    """Given a target, settle an interrupted rotation of its secrets and say so. Without one, one look is all it costs.

    Raises LockHeld while one is being made, or while a machine is being changed.
    """
    if not (target.configuration / WHERE).exists():
        return
    from obstack.cli.composition import configurations, file_secrets, site_secrets
    from obstack.cli.progress import reporter
    from obstack.operations.rotation import alone, read, settle

    rotation = read(file_secrets(target))
    # Its values are those of its environment, whichever this run is for.
    site = configurations(target).load((rotation.environment or None) if rotation else None).site
    store = site_secrets(target, site)
    with alone(store), reporter(quiet=quiet) as progress:
        progress.step("Settling an interrupted rotation of secrets")
        settled = settle(store, in_force(target, site, progress, wait_s))
    if settled is not None:
        click.echo(f"note: {settled.text}", err=True)


def in_force(target: Target, site: Site, progress: Reporter, wait_s: float) -> Callable[[str], str | None]:
    """Return what finds out the generation that a node is in: None where it cannot be asked, or is no longer there.

    A run that is still at work on the node is waited for; what a dead one left there is brought to its end first.
    """
    from obstack.cli.composition import who
    from obstack.cli.nodes import open_node
    from obstack.errors import Unreachable
    from obstack.operations.asking import demand
    from obstack.operations.recover import recover

    def find(node: str) -> str | None:
        if node != site.server.name and node not in site.hosts:
            return None
        try:
            channel = open_node(target, site, node)
            return demand(recover(channel, progress, who=who(), wait_s=wait_s)).generation
        except Unreachable:
            return None

    return find
