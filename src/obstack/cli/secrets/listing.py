"""`observability secrets list`."""

from __future__ import annotations

import time
from typing import Any

from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import print_json, print_line, table
from obstack.cli.secrets.common import read_uses
from obstack.cli.views import age, moment
from obstack.model.words import spell
from obstack.operations.secrets import Entry, entries

HEADER = ("NAME", "PROVIDER", "CHANGED", "NODES", "USED BY")


@documented("observability secrets list", "observability secrets list --environment staging --json")
@target_options(Scope.FILES)
@json_option
def command(*, target: Target, as_json: bool) -> None:
    """List the secrets: where each is kept, how old it is, who uses it. No value is shown, whatever is asked for."""
    known = read_uses(target)
    found = entries(known.site, known.uses, known.store.provider)
    if as_json:
        print_json({"secrets": [_document(entry) for entry in found]})
        return
    for line in table([_row(entry) for entry in found], header=HEADER) if found else ["no secret is used or kept"]:
        print_line(line)


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "provider": entry.provider,
        "place": entry.place,
        "exists": entry.exists,
        "changed": None if entry.changed is None else moment(entry.changed),
        "uses": [{"setting": spell(use.path), "node": use.node} for use in entry.uses],
    }


def _row(entry: Entry) -> tuple[str, ...]:
    if entry.exists is False:
        changed = "missing"
    else:
        changed = "unknown" if entry.changed is None else age(time.time() - entry.changed)
    nodes = ", ".join(dict.fromkeys(use.node for use in entry.uses)) or "-"
    return entry.name, entry.provider, changed, nodes, ", ".join(spell(use.path) for use in entry.uses) or "nothing"
