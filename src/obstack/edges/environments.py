"""Which environments and hosts a folder of configuration has, by name only, so that shells complete them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ENVIRONMENTS: Final = "environments"
HOSTS: Final = "hosts"


def environments(folder: Path) -> tuple[str, ...]:
    """Given the folder of a configuration, return the names of the environments that have an overlay, in order."""
    return tuple(sorted(file.stem for file in (folder / ENVIRONMENTS).glob("*.yaml")))


def hosts(folder: Path) -> tuple[str, ...]:
    """Given the folder of a configuration, return the names of the hosts that have a file, in order."""
    return tuple(sorted(file.stem for file in (folder / HOSTS).glob("[!.]*.yaml")))
