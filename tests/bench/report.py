"""The measurements as a table, and on the page of the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.measure import CHECKOUT, Row

PAGE: Final = CHECKOUT / "docs/explanation/performance.md"
BEGIN: Final = "<!-- The table is written by: make bench-docs -->"
END: Final = "<!-- End of the table -->"
HEADER: Final = ("what", "on", "result", "target", "holds", "")


def cells(row: Row) -> list[str]:
    """Given a measurement, return the cells of its line."""
    target = "" if row.target is None else f"{_figure(*row.target)}{_short(row.target[0])}"
    holds = {None: "", True: "yes", False: "NO"}[row.holds]
    return [row.what, row.on, _result(row), f"≤ {target}" if target else "", holds, row.note]


def describe_machine() -> str:
    """Return in one line what the measurements were taken on, and how busy it is."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = _field(Path("/etc/os-release"), "PRETTY_NAME", "=") or platform.system()
    processor = _field(Path("/proc/cpuinfo"), "model name", ":") or platform.machine()
    load = os.getloadavg()[0]
    return (
        f"{name}, Linux {'.'.join(platform.release().split('.')[:2])}, Python {platform.python_version()}, "
        f"{os.cpu_count()} x {processor}, {memory_gib:.0f} GiB; load at the beginning {load:.1f}"
    )


def write_page(machine: str, rows: Sequence[Row]) -> None:
    """Put the machine and the table on the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [HEADER, ["---"] * len(HEADER), *map(cells, rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    PAGE.write_text(f"{before}{BEGIN}\n\nMeasured on {machine}.\n\n{table}\n\n{END}{after}", encoding="utf-8")


def _result(row: Row) -> str:
    """Return the figures: wall time first, and what it cost."""
    return ", ".join(f"{_figure(name, value)}{_short(name)}" for name, value in row.figures.items())


def _short(name: str) -> str:
    return {"wall_s": "", "best_s": " best", "cpu_s": " CPU", "bytes": "", "peak_bytes": " memory at most"}[name]


def _figure(name: str, value: float) -> str:
    if name == "peak_bytes":
        return f"{value / 2**20:,.0f} MiB"
    if name == "bytes":
        return f"{value:,.0f} bytes"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def _field(file: Path, name: str, separator: str) -> str:
    if not file.exists():
        return ""
    for line in file.read_text(encoding="utf-8").splitlines():
        key, found, value = line.partition(separator)
        if found and key.strip() == name:
            return value.strip().strip('"')
    return ""
