"""Detection as the commands about hosts share it: how a host is looked at, and how what was found is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from obstack.agent.wire import encode
from obstack.cli.composition import load_modules, module_cache, open_channel
from obstack.cli.host.common import find_configuration, host_channel, host_files, read_configuration
from obstack.cli.options import Target
from obstack.cli.output import one_line, paint, table
from obstack.ports import Reporter

if TYPE_CHECKING:
    from obstack.operations.detect import Detection

COLOURS: Mapping[str, str | None] = {"yes": "green", "no": None, "unknown": "yellow"}


def look_here(target: Target, progress: Reporter) -> Detection:
    """Given a target, return what was detected on this machine, which need not have a configuration yet."""
    from obstack.edges import modulefile
    from obstack.operations.detect import detect

    loaded = find_configuration(target)
    if loaded is None:
        return detect(open_channel(target), modulefile.load_modules(cache=module_cache(target)), progress)
    return detect(open_channel(target), load_modules(target, loaded.site), progress)


def look_at_host(target: Target, name: str, progress: Reporter, *, write: bool) -> tuple[Detection, tuple[str, ...]]:
    """Given a host, return what was detected on it, and with `write` the keys added to its file: those that it lacked.

    Raises Unreachable, and ConfigurationError when the site would not be valid; then nothing was written.
    """
    from obstack.operations.detect import detect, write_detected
    from obstack.operations.hosts import said_of

    loaded = read_configuration(target)
    channel = host_channel(target, loaded.site, name)
    detection = detect(channel, load_modules(target, loaded.site), progress)
    added = write_detected(host_files(target), name, said_of(loaded, name), detection) if write else ()
    return detection, added


def detection_document(detection: Detection) -> dict[str, Any]:
    """Given what was detected, return it as `--json` prints it."""
    return {
        "modules": [encode(one) | {"proposed": one.proposed} for one in detection.detected],
        "proposed": detection.proposed,
    }


def detection_lines(detection: Detection, name: str) -> Iterator[str]:
    """Given what was detected and the host's name as it is typed, yield lines: the evidence, and what to make of it."""
    from obstack.edges.configfile.editing import block

    if not detection.detected:
        yield f"{one_line(detection.node)}: no module has anything to look for"
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
        yield f"What the file of {one_line(detection.node)} should say:"
        yield from (f"  {one_line(line)}" for line in block(detection.proposed))
    for one in detection.left_out:
        needed = " ".join(f"--set {option}=…" for option in one.needed)
        yield f"{one.module} needs more: observability module enable {one.module} --host {name} {needed}"


def added_line(place: str, added: tuple[str, ...]) -> str:
    """Given a host's file and the keys that were added to it, return the line that says so."""
    return f"{place}: added {', '.join(added)}" if added else f"{place}: nothing to add"
