"""What the commands about hosts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from obstack.cli.composition import configurations, module_cache, open_host_channel
from obstack.cli.options import Target
from obstack.errors import ConfigurationError, UsageError
from obstack.ports import Channel

if TYPE_CHECKING:
    from obstack.edges.hostfile import HostFiles
    from obstack.model.loaded import LoadedConfiguration
    from obstack.model.site import Site


def host_files(target: Target) -> HostFiles:
    """Given a target, return the editor of its hosts' files."""
    from obstack.edges.hostfile import HostFiles

    return HostFiles(target.configuration, module_cache(target))


def read_configuration(target: Target) -> LoadedConfiguration:
    """Given a target, return its configuration for looking at, even when something in it is yet to be corrected.

    Raises ConfigurationError when its form is not valid.
    """
    examination = configurations(target).examine(target.environment)
    if examination.loaded is None:
        raise ConfigurationError(examination.problems, do="correct them, then look again")
    if examination.problems:
        count = len(examination.problems)
        click.echo(
            f"note: {count} problem{'' if count == 1 else 's'}; observability config validate shows them", err=True
        )
    return examination.loaded


def find_configuration(target: Target) -> LoadedConfiguration | None:
    """Given a target, return its configuration if there is a valid one."""
    return configurations(target).examine(target.environment).loaded


def host_channel(target: Target, site: Site, name: str) -> Channel:
    """Given a site and a host's name, return the way to the host's agent.

    Raises UsageError when there is no such host, or when it is served by bundles only.
    """
    from obstack.operations.hosts import find_host

    if find_host(site, name).ssh is None:
        raise UsageError(
            code="host-by-bundle",
            what=f"The host {name} is served by bundles only: its file says ssh: null.",
            where=f"{target.configuration}/hosts/{name}.yaml",
            state="nothing was touched",
            do=f"observability host bundle {name}    or correct its key ssh",
        )
    return open_host_channel(target, site, name)
