"""`observability version`."""

from __future__ import annotations

import platform
import sys

from obstack import __version__
from obstack.cli.lazy import documented
from obstack.cli.options import json_option
from obstack.cli.output import print_json, print_line


@documented("observability version", "observability version --json")
@json_option
def command(*, as_json: bool) -> None:
    """Show the version of the program."""
    if as_json:
        print_json(
            {"version": __version__, "python": platform.python_version(), "executable": sys.executable},
        )
    else:
        print_line(f"observability {__version__} (Python {platform.python_version()})")
