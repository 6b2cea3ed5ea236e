"""`observability drift`."""

from __future__ import annotations

from obstack.agent.wire import encode
from obstack.cli.composition import open_channel
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, machine_option, quiet_option
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import count, drift_table, short
from obstack.operations.inspection import Inspection, inspect


@documented("observability drift", "observability drift --json")
@machine_option
@quiet_option
@json_option
def command(*, target: Target, quiet: bool, as_json: bool) -> int:
    """Show how the machine differs from the generation in force; exit 1 when it does.

    Nothing is changed. `observability apply` heals what is found.
    """
    with reporter(quiet=quiet) as progress:
        inspection = inspect(open_channel(target), progress)
    drift, node = inspection.drift, inspection.node
    if as_json:
        print_json({"node": node, "generation": inspection.generation, "drift": [encode(item) for item in drift]})
    else:
        for line in drift_table(drift, margin=0):
            print_line(line)
        print_line(f"{node}: {_verdict(inspection)}")
    return 1 if drift else 0


def _verdict(inspection: Inspection) -> str:
    if inspection.generation is None:
        return "no generation is in force, so there is nothing to differ from"
    if not inspection.drift:
        return f"no drift from generation {short(inspection.generation)}"
    found = count(len(inspection.drift), "difference")
    return f"{found} from generation {short(inspection.generation)}; observability apply heals what is found"
