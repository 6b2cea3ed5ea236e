"""A defect of this program: its traceback goes to a file, and the person gets one readable error."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback

from obstack import __version__
from obstack.errors import Bug


def keep_traceback(problem: BaseException) -> Bug:
    """Given an exception nobody expected, write its traceback to a private file and return the error that names it."""
    descriptor, path = tempfile.mkstemp(prefix="observability-bug-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"observability {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        file.write(f"command: {' '.join(sys.argv[1:2])}\n\n")
        traceback.print_exception(problem, file=file)
    return Bug(
        code="bug",
        what=f"The program failed in a way it should not: {type(problem).__name__}.",
        where=path,
        state="the transaction record of the machine is whole; the next run recovers it",
        do="observability status    and report the file named above",
    )
