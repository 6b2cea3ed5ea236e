"""Measures the program, and prints what was measured: `make bench`.

--json   print one JSON document instead of a table
--page   also write the table to docs/explanation/performance.md
"""

from __future__ import annotations

import argparse
import sys

from bench import command, fleet, journals, private, rendering, report, server
from bench.incumbents import comparison
from bench.measure import Row
from obstack.cli.output import print_json, print_line, table

PARTS = (command, rendering, fleet, journals, private, server, comparison)


def main() -> int:
    """Measure everything; exit with 0 when every target holds."""
    parser = argparse.ArgumentParser(prog="bench", description="Measures the program; as root.")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON document")
    parser.add_argument("--page", action="store_true", help="write the table to docs/explanation/performance.md")
    options = parser.parse_args()
    machine = report.describe_machine()
    rows: list[Row] = []
    for part in PARTS:
        for row in part.rows():
            rows.append(row)
            sys.stderr.write(f"  {'  '.join(cell for cell in report.cells(row) if cell)}\n")
    if options.as_json:
        print_json({"machine": machine, "rows": [row.document() for row in rows]})
    else:
        print_line(f"Measured on {machine}.\n")
        for line in table([report.cells(row) for row in rows], header=report.HEADER):
            print_line(line)
    if options.page:
        report.write_page(machine, rows)
    return 0 if all(row.holds is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
