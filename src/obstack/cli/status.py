"""`observability status`."""

from __future__ import annotations

from obstack.agent.wire import encode
from obstack.cli.composition import SystemClock, open_channel
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, machine_option, quiet_option
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import status_lines
from obstack.operations.inspection import front_door, inspect


@documented("observability status", "observability status --json", "observability status --root .observability")
@machine_option
@quiet_option
@json_option
def command(*, target: Target, quiet: bool, as_json: bool) -> None:
    """Show what is in force: generation, units, drift, the last runs, and where the front door is.

    Nothing is probed beyond the machine's own view; `observability health` proves that it works.
    """
    with reporter(quiet=quiet) as progress:
        inspection = inspect(open_channel(target), progress)
    place = target.layout.root or "/"
    if not as_json:
        for line in status_lines(inspection, place, target.chosen_by, SystemClock().now()):
            print_line(line)
        return
    print_json(
        {
            "node": inspection.node,
            "root": place,
            "chosen_by": target.chosen_by,
            "generation": inspection.generation,
            "front_door": front_door(inspection.manifest),
            "units": [encode(unit) for unit in inspection.units],
            "drift": [encode(item) for item in inspection.drift],
            "transactions": list(inspection.transactions),
        }
    )
