"""Whatever is written, however the file is turned and the reader stopped, every byte arrives, in order."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from obstack.agent.log_files import Reader

STEPS = st.one_of(
    st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b"")), min_size=1, max_size=5),
    st.sampled_from(["turn", "read", "refused", "restart"]),
)


@given(st.lists(STEPS, max_size=25))
def test_lines_arrive_at_least_once_and_in_order(steps: list[list[bytes] | str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        positions = str(folder / "positions")
        reader = Reader(name, positions)
        written: list[bytes] = []
        arrived: list[bytes] = []
        for step in [*steps, "read"]:
            if isinstance(step, list):
                with open(folder / "a.log", "ab") as file:
                    file.writelines(line + b"\n" for line in step)
                written += step
            elif step == "turn":
                _turn(folder)
            elif step == "restart":
                reader = Reader(name, positions)
            else:
                lines = [line.text for line in reader.read()]
                if step == "refused":
                    reader.rewind()
                else:
                    arrived += lines
                    reader.commit()
        assert arrived == written


def _turn(folder: Path) -> None:
    if not (folder / "a.log").exists():
        return
    last = next(number for number in itertools.count(1) if not (folder / f"a.log.{number}").exists())
    for number in range(last, 1, -1):
        (folder / f"a.log.{number - 1}").rename(folder / f"a.log.{number}")
    (folder / "a.log").rename(folder / "a.log.1")
    (folder / "a.log").touch()
