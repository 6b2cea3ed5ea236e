"""The page about hardening has a table of all units, which is that of the bars; `make golden` writes it anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from machine.bars import BOUND, read_bars

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "hardening.md"
BEGIN: Final = "<!-- bars: written from tests/machine/exposure.json by `make golden` -->\n"
END: Final = "<!-- end of bars -->\n"


def table() -> str:
    bars = read_bars()
    lines = ["", "| unit | exposure | what it may do beyond the base |", "|---|---|---|"]
    lines += [f"| `{name}` | {bar.exposure} | {bar.beyond} |" for name, bar in bars.items()]
    lines += ["", f"Above {BOUND} are, for these reasons:", ""]
    lines += [f"- `{name}`: {bar.reason}" for name, bar in bars.items() if bar.exposure > BOUND]
    return "\n".join([*lines, "", ""])


def test_the_page_has_the_bars_of_all_units() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    shown, _, after = rest.partition(END)
    if os.environ.get("GOLDEN_UPDATE"):
        PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")
        shown = table()
    assert shown == table(), "run: make golden"
