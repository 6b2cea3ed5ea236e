"""What the commands about hosts share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from obstack.cli.composition import configurations, module_cache
from obstack.cli.options import Target
from obstack.cli.output import paint, sanitize, table
from obstack.errors import ConfigurationError

if TYPE_CHECKING:
    from obstack.edges.hostfile import HostFiles
    from obstack.model.loaded import LoadedConfiguration
    from obstack.operations.detect import Detection

COLOURS = {"yes": "green", "no": None, "unknown": "yellow"}


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


def detection_lines(detection: Detection) -> Iterator[str]:
    """Given what was detected, yield it as lines: a table with the evidence, and what only a person can complete."""
    rows = []
    for one in detection.detected:
        first, *rest = one.evidence
        rows.append((one.module, one.verdict, one.confidence or "", first))
        rows += [("", "", "", line) for line in rest if one.verdict != "no"]
    verdicts = {one.module: one.verdict for one in detection.detected}
    for row, line in zip(["", *rows], table(rows, header=("module", "found", "confidence", "evidence")), strict=True):
        yield paint(line, COLOURS[verdicts[row[0]]]) if row and row[0] else line
    if not detection.detected:
        yield f"{sanitize(detection.node)}: no module has anything to look for"
    for one in detection.left_out:
        needed = " ".join(f"--set {name}=…" for name in one.needed)
        yield f"{one.module} needs more than can be seen: observability module enable {one.module} --host NAME {needed}"
