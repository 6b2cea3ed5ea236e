"""How long the command line takes to start, and how large the agent is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench.measure import CHECKOUT, Row, time_command
from obstack.edges.agent_archive import build_agent

TIMES: Final = 15
PROGRAM: Final = CHECKOUT / "observability"
HERE: Final = "this machine"


def rows() -> Iterator[Row]:
    """Measure the starts that a person waits for."""
    for words in (["--help"], ["version"]):
        figures = time_command([PROGRAM, *words], TIMES)
        yield Row(f"observability {' '.join(words)}", HERE, figures, ("wall_s", 0.150), f"median of {TIMES}")
    yield Row("the agent, as sent to a machine", "one zipapp", {"bytes": len(build_agent().content)})
