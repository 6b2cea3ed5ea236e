"""`observability host detect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from obstack.agent.wire import encode
from obstack.cli import completing
from obstack.cli.composition import load_modules, module_cache, open_channel
from obstack.cli.host.common import find_configuration, host_channel, host_files, read_configuration
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import paint, print_json, print_line, sanitize, table
from obstack.cli.progress import reporter
from obstack.errors import UsageError

if TYPE_CHECKING:
    from obstack.operations.detect import Detection

COLOURS: Mapping[str, str | None] = {"yes": "green", "no": None, "unknown": "yellow"}


@documented(
    "observability host detect web-1",
    "observability host detect web-1 --write",
    "observability host detect --json",
)
@click.argument("name", required=False, shell_complete=completing.hosts)
@click.option("--write", is_flag=True, help="Add what was found to the host's file; what stands there stays.")
@target_options(Scope.FILES)
@quiet_option
@json_option
def command(*, name: str | None, write: bool, target: Target, quiet: bool, as_json: bool) -> None:
    """Find out which services a host has, and which modules fit them: this machine without NAME.

    Nothing is run on the host but the system's own tools, and nothing is changed there. The evidence is shown.
    """
    from obstack.operations.detect import write_detected

    if write and name is None:
        raise UsageError(
            code="usage",
            what="--write needs the name of the host whose file is written.",
            where="the command line of `observability host detect`",
            state="nothing was touched",
            do="observability host detect NAME --write",
        )
    with reporter(quiet=quiet) as progress:
        detection, values = _look(target, name, progress)
    added = write_detected(host_files(target), name, values, detection) if write and name is not None else ()
    if as_json:
        document = {
            "host": detection.node,
            "modules": [encode(one) | {"proposed": one.proposed} for one in detection.detected],
            "proposed": detection.proposed,
        }
        print_json(document | ({"added": added} if write else {}))
        return
    for line in _lines(detection, name or "NAME"):
        print_line(line)
    if write and name is not None:
        told = f"added {', '.join(added)}" if added else "nothing to add"
        print_line(f"{host_files(target).place(name)}: {told}")


def _look(target: Target, name: str | None, progress: Any) -> tuple[Detection, Mapping[str, Any]]:
    """Return what was detected, and what the host's file says."""
    from obstack.edges import modulefile
    from obstack.operations.detect import detect

    if name is None:  # a machine that is not set up yet has no configuration
        loaded = find_configuration(target)
        modules = (
            modulefile.load_modules(cache=module_cache(target)) if loaded is None else load_modules(target, loaded.site)
        )
        return detect(open_channel(target), modules, progress), {}
    loaded = read_configuration(target)
    channel = host_channel(target, loaded.site, name)
    return detect(channel, load_modules(target, loaded.site), progress), loaded.values["hosts"][name]


def _lines(detection: Detection, name: str) -> Iterator[str]:
    from obstack.edges.configfile.editing import block

    if not detection.detected:
        yield f"{sanitize(detection.node)}: no module has anything to look for"
        return
    rows: list[tuple[str, str, str, str]] = []
    colours: list[str | None] = []
    for one in detection.detected:
        first, *rest = one.evidence if one.verdict != "no" else one.evidence[:1]
        rows += [(one.module, one.verdict, one.confidence or "-", first), *(("", "", "", line) for line in rest)]
        colours += [COLOURS[one.verdict], *(None for _ in rest)]
    header, *lines = table(rows, header=("module", "found", "confidence", "evidence"))
    yield header
    yield from (paint(line, colour) for line, colour in zip(lines, colours, strict=True))
    yield ""
    if detection.proposed:
        yield f"What the file of {sanitize(detection.node)} should say:"
        yield from (f"  {sanitize(line)}" for line in block(detection.proposed))
    for one in detection.left_out:
        needed = " ".join(f"--set {option}=…" for option in one.needed)
        yield f"{one.module} needs more: observability module enable {one.module} --host {name} {needed}"
