"""Writes the files of a module that is being begun."""

from __future__ import annotations

import re
from pathlib import Path

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.catalog.modules.skeleton import skeleton
from obstack.edges.module_places import module_names, shipped_folder
from obstack.errors import ChangeFailed, UsageError
from obstack.model.scalars import MEANINGS, NAME_PATTERN


def begin_module(folder: Path, name: str) -> tuple[str, ...]:
    """Given a folder of modules and a new name, write the module and return the paths.

    Raises UsageError when the name cannot be a module's or is taken, ChangeFailed when it cannot be written.
    """
    place = folder / name
    if not re.fullmatch(NAME_PATTERN, name):
        raise _refused(f"“{name}” is not the name of a module: {MEANINGS[NAME_PATTERN]}.", str(folder))
    if name in module_names(shipped_folder()):
        raise _refused(f"{name} is the name of a module that this program brings.", str(shipped_folder() / name))
    if place.exists():
        raise _refused(f"There is a {name} already.", str(place))
    written = []
    try:
        for path, text in skeleton(name).items():
            file = place / path
            durable.make_directory(str(file.parent.absolute()))
            durable.write_file(str(file.absolute()), text.encode(), 0o644)
            written.append(str(file))
    except AgentError as error:
        raise ChangeFailed(
            code=error.code, what=error.what, where=error.where, do=error.do, state=error.state, detail=error.detail
        ) from error
    return tuple(written)


def _refused(what: str, where: str) -> UsageError:
    return UsageError(
        code="module-name", what=what, where=where, state="nothing was written", do="observability module new NAME"
    )
