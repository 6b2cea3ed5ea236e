"""`observability generations list|show|diff|prune`."""

from __future__ import annotations

import click

from obstack.agent.wire import encode
from obstack.cli import completing
from obstack.cli.composition import SystemClock, who
from obstack.cli.lazy import OverviewGroup, documented
from obstack.cli.nodes import open_one
from obstack.cli.options import Target, host_option, json_option, quiet_option, target_options, wait_option
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import count, difference_lines, generation_table, manifest_lines, short
from obstack.operations.generations import (
    compare_generations,
    list_generations,
    prune_generations,
    show_generation,
)
from obstack.ports import Channel


@click.group(cls=OverviewGroup)
def command() -> None:
    """List, show, compare and prune the generations that the machine keeps."""


def print_generations(channel: Channel, *, quiet: bool, as_json: bool) -> None:
    """Print the generations that the machine keeps, the one committed last first."""
    with reporter(quiet=quiet) as progress:
        generations = list_generations(channel, progress)
    if as_json:
        print_json({"node": channel.node, "generations": [encode(item) for item in generations]})
        return
    for line in generation_table(generations, SystemClock().now()) or [f"{channel.node} keeps no generation yet"]:
        print_line(line)


@documented(
    "observability generations list",
    "observability generations list --host web-1",
    "observability generations list --json",
    group=command,
    name="list",
)
@target_options()
@host_option
@quiet_option
@json_option
def list_command(*, target: Target, host: str | None, quiet: bool, as_json: bool) -> None:
    """List the generations that the machine keeps."""
    print_generations(open_one(target, host), quiet=quiet, as_json=as_json)


@documented("observability generations show 3f9a1c2b", group=command, name="show")
@click.argument("generation", shell_complete=completing.generations)
@target_options()
@host_option
@quiet_option
@json_option
def show_command(*, generation: str, target: Target, host: str | None, quiet: bool, as_json: bool) -> None:
    """Show what a generation consists of: GENERATION is the beginning of its id."""
    with reporter(quiet=quiet) as progress:
        manifest = show_generation(open_one(target, host), generation, progress)
    if as_json:
        print_json({"generation": manifest.identity, "manifest": encode(manifest)})
        return
    for line in manifest_lines(manifest):
        print_line(line)


@documented(
    "observability generations diff 77d0e4aa 3f9a1c2b",
    group=command,
    name="diff",
)
@click.argument("before", shell_complete=completing.generations)
@click.argument("after", shell_complete=completing.generations)
@target_options()
@host_option
@quiet_option
@json_option
def diff_command(*, before: str, after: str, target: Target, host: str | None, quiet: bool, as_json: bool) -> None:
    """Show what differs between two generations. The content of secret files is never shown."""
    with reporter(quiet=quiet) as progress:
        difference = compare_generations(open_one(target, host), before, after, progress)
    if as_json:
        print_json(encode(difference))
        return
    for line in difference_lines(difference, diffs=True, additions=True)[1:] or ["nothing differs"]:
        print_line(line)


@documented("observability generations prune --keep 5", group=command, name="prune")
@target_options()
@host_option
@click.option("--keep", type=click.IntRange(min=1), default=10, metavar="N", help="How many to keep. [default: 10]")
@wait_option
@quiet_option
@json_option
def prune_command(*, target: Target, host: str | None, keep: int, wait_s: float, quiet: bool, as_json: bool) -> None:
    """Drop all but the newest generations and what only they used.

    The generation in force is always kept.
    """
    channel = open_one(target, host)
    with reporter(quiet=quiet) as progress:
        removed = prune_generations(channel, keep, progress, who=who(), wait_s=wait_s)
    if as_json:
        print_json({"node": channel.node, "removed": list(removed)})
        return
    for identity in removed:
        print_line(f"dropped {short(identity)}")
    print_line(f"{channel.node}: {count(len(removed), 'generation')} dropped")
