"""The embedded stack in a private root on this very machine."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.command import PROGRAM
from bench.measure import Row, Stopwatch
from obstack.agent.listeners import read_listeners
from obstack.model.embedded import PORTS

TIMES: Final = 7
FIRST_BASE: Final = 29_000
ON: Final = "private root, this machine"


def rows() -> Iterator[Row]:
    """Bring the stack up from nothing, measure runs that change nothing, and remove it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = Path(folder) / "root"
        first, again = Stopwatch(), Stopwatch()
        try:
            first.time(lambda: _run("up", root, "--port-base", str(_free_base())))
            yield Row("observability up, from nothing, downloads included", ON, first.figures(), ("wall_s", 180))
            _settle()
            for _ in range(TIMES):
                outcome = again.time(lambda: _run("up", root))["outcome"]
                if outcome != "unchanged":
                    raise RuntimeError(f"a second `up` answered {outcome}, not unchanged")
            note = f"median of {TIMES}; controller, agent and what it asks"
            yield Row("observability up again, changing nothing", ON, again.figures(), ("wall_s", 2.0), note)
        finally:
            subprocess.run([PROGRAM, "down", "--purge", "--root", root], check=True, stdout=subprocess.DEVNULL)


def _run(verb: str, root: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [PROGRAM, verb, "--root", root, "--json", "--quiet", *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def _settle() -> None:
    """Let the services that have just started end their own starting work."""
    time.sleep(5)


def _free_base() -> int:
    """Return the first of as many ports in a row as the stack takes, all of them free."""
    taken = {listener.port for listener in read_listeners()}
    return next(
        base for base in range(FIRST_BASE, 60_000, len(PORTS)) if not taken.intersection(range(base, base + len(PORTS)))
    )
