"""Options that several commands share, so that one thing has one name and one text everywhere."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click

from obstack.model.layout import Layout, Manager

PRIVATE_ROOT = ".observability"
CONFIGURATION = "config"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Target:
    """The machine that a command works on, and the configuration that it should be in.

    `layout.root` is empty for the machine itself. `chosen_by` says why this root was taken, for `status` to show.
    """

    layout: Layout
    configuration: Path
    environment: str | None
    chosen_by: str

    @property
    def private(self) -> bool:
        """Whether this is a private root of `observability up` and not the machine itself."""
        return self.layout.root != ""


def decide_root(root: Path | None, working_directory: Path, state_exists: bool) -> tuple[Path, str]:
    """Given `--root`, the working directory and whether this machine has a stack, return the root and why.

    The rule: `--root` when given; else the machine itself, except that `.observability` in the working directory is
    taken when it is there and the machine itself has no stack.
    """
    if root is not None:
        return Path(os.path.abspath(root)), "--root"
    private = working_directory / PRIVATE_ROOT
    if not state_exists and private.is_dir():
        return private, f"{PRIVATE_ROOT} exists here and this machine has no stack of its own"
    return Path("/"), "this machine"


class Scope(Enum):
    """Which machine a command means when it is given no `--root`."""

    NEAREST = "the machine itself, or .observability when only that exists"
    SERVER = "the machine itself"
    FILES = "the machine itself, or .observability when only that has a configuration"


def make_target(root: Path | None, configuration: Path | None, environment: str | None, scope: Scope) -> Target:
    """Given the options and the scope of the command, return the target."""
    if root is None and scope is Scope.SERVER:
        place, why = Path("/"), "this machine"
    else:
        begun = scope is Scope.FILES and os.path.isdir(CONFIGURATION)
        place, why = decide_root(root, Path.cwd(), begun or os.path.isdir("/var/lib/observability"))
    if place == Path("/"):
        return Target(Layout("", Manager.SYSTEMD), configuration or Path(CONFIGURATION), environment, why)
    layout = Layout(str(place), Manager.SUPERVISOR)
    return Target(layout, configuration or place / CONFIGURATION, environment, why)


def machine_option(function: F) -> F:
    """Add `--root`, and call the command with `target`: for commands that ask the machine and read no configuration."""

    @_root_option(Scope.NEAREST)
    @functools.wraps(function)
    def wrapper(*args: Any, root: Path | None, **kwargs: Any) -> Any:
        return function(*args, target=make_target(root, None, None, Scope.NEAREST), **kwargs)

    return wrapper  # type: ignore[return-value]


def target_options(scope: Scope = Scope.NEAREST) -> Callable[[F], F]:
    """Add `--root`, `--config` and `--environment`, and call the command with `target`."""

    def complete_environment(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from obstack.cli.completing import environments_of

        return environments_of(scope)(context, parameter, incomplete)

    def decorate(function: F) -> F:
        @_root_option(scope)
        @click.option(
            "--config",
            "configuration",
            type=click.Path(path_type=Path, file_okay=False),
            envvar="OBSERVABILITY_CONFIG",
            metavar="DIR",
            help="Folder of the configuration. [default: config, below DIR of --root]",
        )
        @click.option(
            "--environment",
            metavar="NAME",
            shell_complete=complete_environment,
            help="Merge config/environments/NAME.yaml over the base.",
        )
        @functools.wraps(function)
        def wrapper(
            *args: Any, root: Path | None, configuration: Path | None, environment: str | None, **kwargs: Any
        ) -> Any:
            target = make_target(root, configuration, environment, scope)
            return function(*args, target=target, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def _root_option(scope: Scope) -> Callable[[F], F]:
    return click.option(
        "--root",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="OBSERVABILITY_ROOT",
        metavar="DIR",
        help=f"The machine lives below DIR (as `observability up` makes it). [default: {scope.value}]",
    )


def nodes_options(function: F) -> F:
    """Add `--host` and `--limit`, and call the command with `hosts` and `limits`: for commands about many nodes."""
    from obstack.cli import completing

    function = click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="GROUP|PATTERN",
        shell_complete=completing.groups,
        help="Only nodes of GROUP, or whose name fits PATTERN. May be repeated.",
    )(function)
    return click.option(
        "--host",
        "hosts",
        multiple=True,
        metavar="NAME",
        shell_complete=completing.nodes,
        help="Only the node NAME, a host or the server. May be repeated. [default: all nodes]",
    )(function)


def host_option(function: F) -> F:
    """Add `--host`, and call the command with `host`: for commands about one node, which is the server by itself."""
    from obstack.cli import completing

    return click.option(
        "--host",
        metavar="NAME",
        shell_complete=completing.nodes,
        help="The monitored host NAME. [default: the server]",
    )(function)


def parallel_option(function: F) -> F:
    """Add `--parallel`: how many nodes are worked on at the same time."""
    return click.option(
        "--parallel",
        type=click.IntRange(1, 256),
        metavar="N",
        help="Work on N nodes at the same time. [default: fleet.parallel]",
    )(function)


def pace_options(function: F) -> F:
    """Add `--canary`, `--batch`, `--max-failures` and `--resume`: how a change goes through many nodes."""
    from obstack.cli import completing

    options = (
        click.option(
            "--canary",
            "canaries",
            multiple=True,
            metavar="NAME",
            shell_complete=completing.nodes,
            help="Change NAME before all others; its failure stops the run. May be repeated. [default: fleet.canaries]",
        ),
        click.option(
            "--batch",
            metavar="N|N%",
            callback=_batch,
            help="Change N hosts, or N percent of them, before looking at the failures. [default: fleet.batch]",
        ),
        click.option(
            "--max-failures",
            type=click.IntRange(min=0),
            metavar="N",
            help="Stop when more than N nodes have failed. [default: fleet.max_failures]",
        ),
        click.option("--resume", is_flag=True, help="Go on with the last run: what it has brought to its end is left."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _batch(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from obstack.model.scalars import BATCH_PATTERN

    if value is not None and not re.fullmatch(BATCH_PATTERN, value):
        raise click.BadParameter(f"{value!r} is neither a number of hosts nor a share such as 10%.")
    return value


def json_option(function: F) -> F:
    """Add `--json`: one JSON document on standard output and nothing else."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def quiet_option(function: F) -> F:
    """Add `--quiet`: no progress."""
    return click.option("--quiet", "-q", is_flag=True, help="Show no progress.")(function)


def yes_option(function: F) -> F:
    """Add `--yes`: do not ask."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")(function)


def wait_option(function: F) -> F:
    """Add `--wait`: how long to wait for another run."""
    return click.option(
        "--wait",
        "wait_s",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="How long to wait while another run holds the lock. [default: not at all]",
    )(function)
