"""Moves secrets that stand in configuration files as plain text into where secrets are kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from obstack.catalog.modules import ModuleSet
from obstack.model.describe import key_at
from obstack.model.module import OptionType
from obstack.model.rules import Path
from obstack.model.scalars import NAME_PATTERN
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.ports import Leftover, Move, Plaintext, PlaintextFiles

LONGEST_NAME: Final = 63


@dataclass(frozen=True)
class Migration:
    """What was moved, where a moved value is to be seen still, and the files whose history in git holds values."""

    moves: tuple[Move, ...]
    left: tuple[Leftover, ...]
    in_git: tuple[str, ...]


class KeepingStore(Protocol):
    """Where secrets are kept."""

    def get(self, name: str) -> Secret | None:
        """Given a name, return the secret, or None when there is none."""

    def put(self, name: str, secret: Secret) -> None:
        """Given a name and a value, keep it. Raises UsageError and ChangeFailed."""

    def demand_legible(self, name: str, secret: Secret) -> None:
        """Raise UsageError for a value that cannot be a secret."""


def secret_paths(modules: ModuleSet) -> Callable[[Path], bool]:
    """Given all modules, return what tells whether a path of the site is that of a secret."""

    def is_secret(path: Path) -> bool:
        if len(path) > 4 and path[-4] == "modules" and path[-2] == "options":
            module, option = modules.get(str(path[-3])), str(path[-1])
            return module is not None and option in module.options and module.options[option].type is OptionType.SECRET
        key = key_at(Site, path)
        return key is not None and key.secret

    return is_secret


def migrate(files: PlaintextFiles, store: KeepingStore, is_secret: Callable[[Path], bool]) -> Migration:
    """Move every secret out of the files, one file after the other. Nothing is lost, whenever it is cut off.

    Each value is kept before its file is written. Raises UsageError before anything is written when one of them
    cannot be a secret, and ChangeFailed.
    """
    found = files.find(is_secret)
    for item in found:
        store.demand_legible(next(_names(item)), item.value)
    moves: list[Move] = []
    for item in found:
        name = _free_name(item, store)
        if store.get(name) is None:
            store.put(name, item.value)
        moves.append(Move(item, name))
    for file in dict.fromkeys(move.found.file for move in moves):
        files.replace([move for move in moves if move.found.file == file])
    values = {move.name: move.found.value for move in moves}
    touched = tuple(dict.fromkeys(move.found.file for move in moves))
    return Migration(tuple(moves), files.left(values), files.in_git(touched))


def _free_name(item: Plaintext, store: KeepingStore) -> str:
    """Return the first name that is free, or that has this very value already."""
    for name in _names(item):
        kept = store.get(name)
        if kept is None or kept == item.value:
            return name
    raise AssertionError("the names do not end")


def _names(item: Plaintext) -> Iterator[str]:
    """Yield names for a secret, the most telling one first; they never end."""
    parts = [str(part) for part in item.path if not isinstance(part, int)]
    if parts[0] == "hosts":
        short, long = [parts[3], parts[5]], [parts[1], parts[3], parts[5]]
    elif parts[0] == "fleet":
        short, long = [parts[4], parts[6]], [parts[2], parts[4], parts[6]]
    else:
        short = long = [item.beside or parts[-2], parts[-1]]
    first = _name(short)
    yield first
    if long != short:
        yield _name(long)
    number = 2
    while True:
        yield f"{first[: LONGEST_NAME - 6]}-{number}"
        number += 1


def _name(parts: Sequence[str]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")[:LONGEST_NAME]
    return name if re.fullmatch(NAME_PATTERN, name) else "moved-secret"
