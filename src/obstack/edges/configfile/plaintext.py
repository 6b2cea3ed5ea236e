"""Finds secrets that stand in configuration files as plain text, and puts references in their place.

Only the characters of the value are changed, at the place that the parser names: comments and layout stay.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.edges.configfile.hosts import SUFFIX
from obstack.edges.configfile.load import GLOBAL_FILE
from obstack.edges.configfile.nodes import LARGEST_FILE_BYTES, parse
from obstack.edges.environments import ENVIRONMENTS, HOSTS
from obstack.errors import ChangeFailed, ConfigurationError, UsageError
from obstack.model.rules import Path
from obstack.model.scalars import SECRET_REFERENCE_PATTERN
from obstack.model.secret import Secret
from obstack.ports import Leftover, Move, Plaintext

COPY: Final = r"(\.[0-9]+)?"
"""What this program adds to the name of a file that it keeps aside."""


@dataclass(frozen=True)
class ConfigurationText:
    """Given the folder of a configuration, and the private folder in it, which is no place to look.

    Implements ports.PlaintextFiles.
    """

    folder: FilePath
    private: FilePath

    def find(self, is_secret: Callable[[Path], bool]) -> tuple[Plaintext, ...]:
        """Given what tells the paths of secrets, return every one that stands there as plain text, in order.

        The copies that this program keeps aside are looked at like the files. Raises ConfigurationError.
        """
        found: list[Plaintext] = []
        for file, prefix in self._files():
            text = self._read(file)
            for path, node, parent in _scalars(_compose(text), prefix):
                if is_secret(path) and node.value and not re.fullmatch(SECRET_REFERENCE_PATTERN, str(node.value)):
                    value = Secret(str(node.value).removesuffix("\n"))
                    found.append(Plaintext(str(file), node.start_mark.line + 1, path, value, _beside(parent)))
        return tuple(found)

    def replace(self, moves: Sequence[Move]) -> None:
        """Given moves of one file, write it with the references in place of the values, mode and owner as they were.

        Raises UsageError when a value no longer stands where it was found, ChangeFailed.
        """
        file = FilePath(moves[0].found.file)
        prefix = next(prefix for known, prefix in self._files() if known == file)
        text = self._read(file)
        names = {move.found.path: move for move in moves}
        places: list[tuple[int, int, str]] = []
        for path, node, _ in _scalars(_compose(text), prefix):
            move = names.pop(path, None)
            if move is not None and str(node.value).removesuffix("\n") == move.found.value.reveal():
                places.append((node.start_mark.index, _end(text, node), f"secret:{move.name}"))
        if len(places) != len(moves):
            raise _not_editable(file)
        for start, end, reference in sorted(places, reverse=True):
            text = text[:start] + reference + text[end:]
        if parse(str(file), text.encode()).tree is None:
            raise _not_editable(file)
        _write(file, text)

    def left(self, values: Mapping[str, Secret]) -> tuple[Leftover, ...]:
        """Given values by name, return where one of them is to be seen still, in any file of the folder."""
        found = []
        for base, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if FilePath(base, name).absolute() != self.private.absolute()]
            for name in sorted(names):
                found += list(_shown(FilePath(base, name), values))
        return tuple(found)

    def in_git(self, files: Sequence[str]) -> tuple[str, ...]:
        """Return those of the files that git knows; without git none."""
        known = []
        with suppress(FileNotFoundError):
            for file in files:
                folder, name = os.path.split(os.path.abspath(file))
                argv = ["git", "-C", folder, "ls-files", "--error-unmatch", "--", name]
                if subprocess.run(argv, capture_output=True, check=False).returncode == 0:
                    known.append(file)
        return tuple(known)

    def _files(self) -> Iterator[tuple[FilePath, Path]]:
        """Yield every file of the configuration and every copy kept aside, with the path of the site it stands at."""
        for folder, pattern in (
            (self.folder, f"{re.escape(GLOBAL_FILE)}{COPY}"),
            (self.folder / ENVIRONMENTS, rf"[a-z][a-z0-9-]*\.yaml{COPY}"),
            (self.folder / HOSTS, rf"[a-z][a-z0-9-]*{re.escape(SUFFIX)}{COPY}"),
        ):
            for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
                if re.fullmatch(pattern, name) and (folder / name).is_file():
                    prefix: Path = (HOSTS, name.partition(".")[0]) if folder.name == HOSTS else ()
                    yield folder / name, prefix

    def _read(self, file: FilePath) -> str:
        content = file.read_bytes()
        problems = parse(str(file), content).problems
        if problems:
            raise ConfigurationError(problems, do=f"correct {file} by hand, then try again")
        return content.decode("utf-8-sig")


def _compose(text: str) -> Node | None:
    root: Node | None = YAML(typ="safe", pure=True).compose(text)
    return root


def _scalars(
    node: Node | None, path: Path, parent: MappingNode | None = None
) -> Iterator[tuple[Path, ScalarNode, MappingNode | None]]:
    """Yield every value with its path and the mapping that it stands in."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _scalars(value, (*path, str(key.value)), node)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _scalars(item, (*path, index), parent)
    elif isinstance(node, ScalarNode):
        yield path, node, parent


def _beside(parent: MappingNode | None) -> str:
    """Return the name of the login whose password stands in this mapping; empty when it has none."""
    entries = parent.value if parent is not None else []
    return next((str(value.value) for key, value in entries if key.value == "name"), "")


def _end(text: str, node: ScalarNode) -> int:
    """Return the index after the last character of a value: what follows a block belongs to the file."""
    end = int(node.end_mark.index)
    return len(text[:end].rstrip()) if node.style in ("|", ">") else end


def _shown(file: FilePath, values: Mapping[str, Secret]) -> Iterator[Leftover]:
    with suppress(OSError):
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_FILE_BYTES * 16:
            return
        content = file.read_bytes()
        for name, value in values.items():
            at = content.find(value.reveal().encode())
            if at >= 0:
                line = 0 if b"\0" in content else content.count(b"\n", 0, at) + 1
                yield Leftover(str(file), line, name)


def _write(file: FilePath, text: str) -> None:
    path = os.path.realpath(file)  # a link stays a link: what it leads to is written
    kept = os.stat(path)
    try:
        durable.write_file(path, text.encode(), stat.S_IMODE(kept.st_mode))
        if (kept.st_uid, kept.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, kept.st_uid, kept.st_gid)
    except AgentError as error:
        raise ChangeFailed(
            code=error.code, what=error.what, where=error.where, do=error.do, state=error.state, detail=error.detail
        ) from error


def _not_editable(file: FilePath) -> UsageError:
    return UsageError(
        code="file-not-editable",
        what=f"{file} is written in a way that no program can change for sure, or was changed meanwhile.",
        where=str(file),
        state="its values are kept as secrets; the file is as it was",
        do="observability secrets migrate    again; or write secret:NAME there by hand",
    )
