"""`observability artifacts licences`."""

from __future__ import annotations

from typing import Any

from obstack.catalog.parts import Deployed, Part
from obstack.cli.artifacts.common import find_given
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, nodes_options, quiet_option, target_options
from obstack.cli.output import paint, print_json, print_line, table
from obstack.cli.progress import reporter

HEADER = ("PART", "VERSION", "DEPLOYED IN", "LICENCE")


@documented("observability artifacts licences", "observability artifacts licences --host mon-1 --json")
@target_options(Scope.FILES)
@nodes_options
@quiet_option
@json_option
def command(*, target: Target, hosts: tuple[str, ...], limits: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """List what is deployed under which licence.

    Of Debian packages it is what their copyright files say, which cover the whole source package. Where such a file
    is not machine-readable, the table says so: a person must read it.
    """
    with reporter(quiet=quiet) as progress:
        deployed = find_given(target, hosts, limits, progress).gather(progress)
    used = _uses(deployed)
    if as_json:
        print_json({"parts": [_document(part, names) for part, names in used.items()]})
        return
    rows = [(part.name, part.version, ", ".join(names), part.licence.text) for part, names in used.items()]
    head, *body = table(rows, header=HEADER)
    for line in (paint(head, bold=True), *body):
        print_line(line)


def _uses(deployed: tuple[Deployed, ...]) -> dict[Part, list[str]]:
    """Return each part with the names of the artifacts that it is in, both in order."""
    found: dict[Part, set[str]] = {}
    for item in deployed:
        for part in item.parts:
            found.setdefault(part, set()).add(item.artifact.component)
    return {part: sorted(found[part]) for part in sorted(found, key=lambda part: (part.name, part.purl))}


def _document(part: Part, artifacts: list[str]) -> dict[str, Any]:
    return {
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
        "artifacts": artifacts,
        "licence": part.licence.expression or None,
        "note": part.licence.note or None,
    }
