"""Which environments a folder of configuration has. It reads names only, so that shells can complete them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ENVIRONMENTS: Final = "environments"


def environments(folder: Path) -> tuple[str, ...]:
    """Given the folder of a configuration, return the names of the environments that have an overlay, in order."""
    return tuple(sorted(file.stem for file in (folder / ENVIRONMENTS).glob("*.yaml")))
