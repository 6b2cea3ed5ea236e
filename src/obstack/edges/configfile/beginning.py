"""Writes the first files of a configuration: the base, the schema for editors, and what keeps secrets out of git."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.edges.configfile.load import GLOBAL_FILE, examine_bytes
from obstack.edges.environments import HOSTS
from obstack.errors import ChangeFailed, Problem
from obstack.model.example import HOST_SCHEMA_FILE, SCHEMA_FILE

SECRETS_FOLDER: Final = "secrets"
_IGNORED: Final = f"/{SECRETS_FOLDER}/"


@dataclass(frozen=True)
class BeginningFolder:
    """The folder of a configuration that is being begun."""

    folder: Path

    def place(self) -> str:
        """Return the path of the base file, for messages."""
        return str(self.folder / GLOBAL_FILE)

    def exists(self) -> bool:
        """Return whether there is a base file."""
        return (self.folder / GLOBAL_FILE).exists()

    def examine_text(self, text: str) -> tuple[Problem, ...]:
        """Given the text of a base file that is not written yet, return its problems."""
        return examine_bytes(self.place(), text.encode()).problems

    def keep_copy(self) -> str:
        """Copy the base file to the first free name beside it and return that name. Raises ChangeFailed."""
        number = 1
        while (copy := self.folder / f"{GLOBAL_FILE}.{number}").exists():
            number += 1
        with _refusals():
            durable.copy_file(str((self.folder / GLOBAL_FILE).absolute()), str(copy.absolute()), 0o644)
        return str(copy)

    def write(self, text: str, schema: str, host_schema: str) -> tuple[str, ...]:
        """Given the base file's text and the JSON Schemas, write them and keep git away from secrets; return the paths.

        Raises ChangeFailed.
        """
        with _refusals():
            durable.make_directory(str((self.folder / HOSTS).absolute()))
            return (
                self._put(SCHEMA_FILE, schema),
                self._put(f"{HOSTS}/{HOST_SCHEMA_FILE}", host_schema),
                self._put(".gitignore", self._ignore()),
                self._put(GLOBAL_FILE, text),
            )

    def _put(self, name: str, text: str) -> str:
        durable.write_file(str((self.folder / name).absolute()), text.encode(), 0o644)
        return str(self.folder / name)

    def _ignore(self) -> str:
        file = self.folder / ".gitignore"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return "\n".join(lines if _IGNORED in lines else [*lines, _IGNORED]) + "\n"


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except AgentError as error:
        raise ChangeFailed(
            code=error.code, what=error.what, where=error.where, do=error.do, state=error.state, detail=error.detail
        ) from error
