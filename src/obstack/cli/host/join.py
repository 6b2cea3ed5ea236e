"""`observability host join`."""

from __future__ import annotations

from typing import BinaryIO

import click

from obstack.cli.composition import load_modules
from obstack.cli.host.common import host_files, read_configuration
from obstack.cli.host.looking import added_line, detection_document, detection_lines
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.errors import UsageError


@documented(
    "observability host join web-1 --address 192.0.2.10 --json",
    "observability host join web-1 --seen - --json",
)
@click.argument("name")
@click.option("--address", metavar="ADDRESS", help="Describe the host, if it is not described yet.")
@click.option("--seen", type=click.File("rb"), metavar="FILE", help="What its agent has seen; - is standard input.")
@target_options(Scope.FILES)
@json_option
def command(*, name: str, address: str | None, seen: BinaryIO | None, target: Target, as_json: bool) -> None:
    """Answer a host that sets itself up: describe it, say what its agent is to look for, and write what that saw.

    This is what `observability setup --monitored-host` calls on the server. The host is described as one that is not
    reached by SSH. What to look for is in the document only.
    """
    if (address is None) == (seen is None):
        raise click.UsageError("Either --address or --seen is needed.")
    document, lines = _described(target, name, address) if seen is None else _written(target, name, seen)
    if as_json:
        print_json(document)
        return
    for line in lines:
        print_line(line)


def _described(target: Target, name: str, address: str | None) -> tuple[dict[str, object], list[str]]:
    from obstack.operations.detect import looks

    site = read_configuration(target).site
    added = name not in site.hosts
    if added:
        host_files(target).add(name, {"address": address, "ssh": None})
    document = {"host": name, "server": site.server.name, "added": added, "looks": looks(load_modules(target, site))}
    return document, [f"{'wrote' if added else 'there is'} {host_files(target).place(name)}"]


def _written(target: Target, name: str, seen: BinaryIO) -> tuple[dict[str, object], list[str]]:
    from obstack.agent.wire import load
    from obstack.operations.detect import judge_seen, write_detected
    from obstack.operations.hosts import said_of

    loaded = read_configuration(target)
    said = said_of(loaded, name)
    try:
        detection = judge_seen(name, load_modules(target, loaded.site), load(seen.read()))
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(
            code="seen-unreadable",
            what="What was seen is not what an agent answers.",
            where="--seen",
            state="nothing was written",
            do="use the same version on both ends: observability version",
            detail=str(error),
        ) from error
    added = write_detected(host_files(target), name, said, detection)
    document = {"host": name, "added": added, **detection_document(detection)}
    return document, [*detection_lines(detection, name), added_line(host_files(target).place(name), added)]
