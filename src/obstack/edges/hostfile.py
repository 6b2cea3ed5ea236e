"""The hosts' files, `config/hosts/NAME.yaml`, edited: judged first, then written whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.edges.configfile import FileConfigurations
from obstack.edges.configfile.editing import block, edited
from obstack.edges.configfile.hosts import SUFFIX, host_names, parse_host
from obstack.edges.environments import HOSTS
from obstack.errors import ChangeFailed, ConfigurationError, UsageError
from obstack.model.example import HOST_SCHEMA_FILE
from obstack.model.reference import host_schema
from obstack.model.scalars import MEANINGS, NAME_PATTERN
from obstack.model.words import nearest
from obstack.ports import KeyChange

HEADER: Final = f"# yaml-language-server: $schema={HOST_SCHEMA_FILE}\n"
MODE: Final = 0o644


@dataclass(frozen=True)
class HostFiles:
    """Given the folder of a configuration, edit its hosts' files. Implements ports.HostEditor.

    In `cache` is kept what makes it quick to read the modules that the hosts use.
    """

    folder: Path
    cache: Path | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names of the hosts that have a file, in order."""
        return host_names(self.folder)

    def place(self, name: str) -> str:
        """Return the path of a host's file, for messages."""
        return str(self._file(name))

    def add(self, name: str, values: Mapping[str, Any]) -> str:
        """Given a new host's name and what its file is to say, write the file and return its path.

        Raises UsageError when there is such a host, ConfigurationError when the site would not be valid, ChangeFailed.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            raise UsageError(
                code="host-name",
                what=f"“{name}” is not the name of a host: {MEANINGS[NAME_PATTERN]}.",
                where="the host's name",
                state="nothing was written",
                do="observability host add web-1 --address ADDRESS",
            )
        with self._turn():
            if name in self.names():
                raise UsageError(
                    code="host-exists",
                    what=f"There is a host {name} already.",
                    where=self.place(name),
                    state="nothing was written",
                    do=f"observability host show {name}    or edit its file",
                )
            text = HEADER + "".join(f"{line}\n" for line in block(values))
            self._judge(name, text.encode())
            self._write(name, text, MODE)
            self.write_schema()
        return self.place(name)

    def edit(self, name: str, changes: Sequence[KeyChange]) -> bool:
        """Given a host and changes, make them in its file; return False, writing nothing, when it says so already.

        Raises UsageError when there is no such host, or its file cannot be changed by a program, ConfigurationError
        when the site would not be valid, ChangeFailed.
        """
        with self._turn():
            before = self._read(name)
            after = edited(self.place(name), before, changes)
            if after == before:
                return False
            self._judge(name, after.encode())
            kept = self._file(name).stat()
            self._write(name, after, stat.S_IMODE(kept.st_mode), (kept.st_uid, kept.st_gid))
        return True

    def remove(self, name: str) -> str:
        """Given a host, move its file to a free name beside it and return that name.

        Raises UsageError when there is no such host, ConfigurationError when the site would not be valid without it,
        ChangeFailed.
        """
        with self._turn():
            self._known(name)
            self._judge(name, None)
            file, number = self._file(name), 1
            while (kept := file.with_name(f"{file.name}.{number}")).exists():
                number += 1
            with _refusals():
                durable.rename(str(file.absolute()), str(kept.absolute()))
        return str(kept)

    def write_schema(self) -> None:
        """Write the JSON Schema of the hosts' files beside them, for editors. Raises ChangeFailed."""
        text = json.dumps(host_schema(), indent=2, ensure_ascii=False) + "\n"
        file = self.folder / HOSTS / HOST_SCHEMA_FILE
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            with _refusals():
                durable.write_file(str(file.absolute()), text.encode(), MODE)

    def check_removal(self, name: str) -> None:
        """Raise what `remove` would raise, and change nothing."""
        self._known(name)
        self._judge(name, None)

    def _file(self, name: str) -> Path:
        return self.folder / HOSTS / f"{name}{SUFFIX}"

    def _known(self, name: str) -> None:
        if name not in self.names():
            known = ", ".join(self.names())
            raise UsageError(
                code="host-unknown",
                what=f"There is no host {name}. {nearest(name, self.names())}".rstrip(),
                where=str(self.folder / HOSTS),
                state="nothing was written",
                do=f"observability host list    shows: {known}" if known else "observability host add NAME --address A",
            )

    def _read(self, name: str) -> str:
        """Return a host's file as it is. Raises UsageError or ConfigurationError when there is none to read."""
        self._known(name)
        try:
            content = self._file(name).read_bytes()
        except OSError as error:
            raise UsageError(
                code="host-unreadable",
                what=f"The file of the host {name} cannot be read: {error.strerror}.",
                where=self.place(name),
                state="nothing was written",
                do=f"ls -l {self.place(name)}    and correct its permissions",
            ) from error
        problems = parse_host(self.place(name), content).problems
        if problems:
            raise ConfigurationError(problems, do=f"correct {self.place(name)} by hand, then try again")
        return content.decode("utf-8-sig")

    def _judge(self, name: str, content: bytes | None) -> None:
        """Raise ConfigurationError with the problems that the site has only with this content."""
        configurations = FileConfigurations(self.folder, self.cache)
        problems = configurations.examine_edited({name: content}).problems
        if not problems:
            return
        before = {(item.file, item.path, item.message) for item in configurations.examine().problems}
        new = [item for item in problems if (item.file, item.path, item.message) not in before]
        if new:
            raise ConfigurationError(new, do="correct that first; nothing was written")

    def _write(self, name: str, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
        # A link stays a link: what it leads to is written.
        path = os.path.realpath(self._file(name))
        with _refusals():
            durable.write_file(path, text.encode(), mode)
        if owner is not None and owner != (os.geteuid(), os.getegid()):
            os.chown(path, *owner)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One editor at a time: what is read stays so until the change is written."""
        folder = self.folder / HOSTS
        if not (self.folder).is_dir():
            raise UsageError(
                code="no-configuration",
                what="There is no configuration yet.",
                where=str(self.folder),
                state="nothing was written",
                do="observability config init --domain NAME",
            )
        with _refusals():
            durable.make_directory(str(folder.absolute()))
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except AgentError as error:
        raise ChangeFailed(
            code=error.code, what=error.what, where=error.where, do=error.do, state=error.state, detail=error.detail
        ) from error
