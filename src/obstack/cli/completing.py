"""What a shell completes beyond commands and options: names that are read from files, at once and without a word.

No agent is started, and whatever cannot be read completes to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import click

from obstack.cli.options import Scope, Target, make_target
from obstack.cli.views import short
from obstack.edges.environments import environments
from obstack.edges.environments import hosts as hosts_of
from obstack.edges.kept import Kept
from obstack.edges.module_places import module_names, shipped_folder
from obstack.errors import StackError

Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[str]]
BOOT_ONLY = ("observability-recover",)


def _from(find: Callable[[Target], Iterable[str]], scope: Scope = Scope.NEAREST) -> Complete:
    """Given how names are found on a target, return what completes them."""

    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        given = context.params
        try:
            target = make_target(given.get("root"), given.get("configuration"), None, scope)
            return [name for name in find(target) if name.startswith(incomplete)]
        except (
            OSError,
            StackError,
        ):  # the working directory is gone, for example: nothing may disturb the line that is typed
            return []

    return complete


units = _from(lambda target: (name for name in Kept(target.layout.root).units() if name not in BOOT_ONLY))
"""Units whose log can be asked for."""

shipping_hosts = _from(lambda target: Kept(target.layout.root).shipping_hosts())
"""Hosts whose journals the machine has."""

generations = _from(lambda target: map(short, Kept(target.layout.root).generations()))
"""Generations that the machine keeps, as people read them."""


hosts = _from(lambda target: hosts_of(target.configuration), Scope.FILES)
"""Hosts that have a file."""


def _dashboards(_target: Target) -> Iterable[str]:
    """Those of a site's own modules are not completed: to know them, its whole configuration would be read."""
    from obstack.content.dashboards import STACK

    return (*STACK, *module_names(shipped_folder()))


dashboards = _from(_dashboards, Scope.FILES)
"""Dashboards that this program brings."""


def _nodes(target: Target) -> Iterable[str]:
    server = Kept(target.layout.root).node()
    return (*hosts_of(target.configuration), *((server,) if server else ()))


def _groups(target: Target) -> Iterable[str]:
    """Groups are said in many files, so all of them are read; what cannot be read completes to nothing."""
    from obstack.edges.configfile import FileConfigurations
    from obstack.plan.fleet import group_members

    legible = FileConfigurations(target.configuration).examine().legible
    return group_members(legible.site) if legible else ()


def _secrets(target: Target) -> Iterable[str]:
    """Names that the configuration refers to. Whether there are values, and where, is not looked at."""
    from obstack.edges.configfile import FileConfigurations
    from obstack.model.rules import secret_references

    examination = FileConfigurations(target.configuration).examine()
    if examination.legible is None:
        return ()
    references = (*secret_references(examination.legible.site), *examination.module_secrets)
    return sorted({name for _, name in references})


def _components(target: Target) -> Iterable[str]:
    from obstack.catalog.components import COMPONENTS
    from obstack.edges.lock_file import LockFile
    from obstack.errors import ConfigurationError

    try:
        hosts = LockFile(target.configuration).read().hosts
    except ConfigurationError:
        hosts = {}
    return sorted({*COMPONENTS, *(name for artifacts in hosts.values() for name in artifacts)})


components = _from(_components, Scope.FILES)
"""What is locked or can be: the server's components, and the artifacts of hosts that the lock knows."""

secrets = _from(_secrets, Scope.FILES)
"""Secrets that the configuration refers to."""

nodes = _from(_nodes)
"""Nodes that can be worked on: the monitored hosts, and the server once it has a generation."""

groups = _from(_groups)
"""Groups of hosts."""


modules = _from(lambda _target: module_names(shipped_folder()))
"""Modules that this program brings."""


def environments_of(scope: Scope) -> Complete:
    """Given the scope of a command, return what completes the environments of its configuration."""
    return _from(lambda target: environments(target.configuration), scope)
