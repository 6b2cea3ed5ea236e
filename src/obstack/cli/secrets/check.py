"""`observability secrets check`."""

from __future__ import annotations

from obstack.agent.wire import encode
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import paint, print_json, print_line
from obstack.cli.secrets.common import names_everywhere, read_uses
from obstack.operations.rotation import unsettled_finding
from obstack.operations.secrets import check


@documented("observability secrets check", "observability secrets check --json")
@target_options(Scope.FILES)
@json_option
def command(*, target: Target, as_json: bool) -> int:
    """Judge all secrets; exit 1 when something is wrong with one.

    That a reference leads nowhere, that others can read a value, that a password is weak or still a placeholder, that
    nothing uses a value that is kept, and that a rotation was interrupted and is not settled.
    """
    known = read_uses(target)
    found = [
        *unsettled_finding(known.store),
        *check(known.site, known.uses, names_everywhere(target), known.store.provider),
    ]
    if as_json:
        print_json({"sound": not found, "findings": [encode(finding) for finding in found]})
        return 1 if found else 0
    for finding in found:
        print_line(f"{paint(finding.name or 'secrets', 'yellow', bold=True)}: {finding.message}")
        print_line(f"  do: {finding.remedy}")
    if not found:
        print_line(f"{len(known.uses)} secrets are sound")
    return 1 if found else 0
