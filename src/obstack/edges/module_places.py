"""Where modules are. It reads names only, so that shells can complete them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import obstack
from obstack.errors import UsageError

MANIFEST: Final = "module.yaml"
FOLDER: Final = "modules"


def shipped_folder() -> Path:
    """Return the folder of the modules that this program brings. Raises UsageError when it is not there."""
    folder = Path(obstack.__file__).parents[2] / FOLDER
    if not folder.is_dir():
        raise UsageError(
            code="modules-missing",
            what="The folder of modules that belongs to this program is not where the program is.",
            where=str(folder),
            state="nothing was touched",
            do="run the program from a whole checkout: the folder `modules` stands beside `src`",
        )
    return folder


def module_names(folder: Path) -> tuple[str, ...]:
    """Given a folder of modules, return their names, in order: each folder that holds a manifest, and no link."""
    return tuple(sorted(place.name for place in folder.iterdir() if (place / MANIFEST).is_file()))
