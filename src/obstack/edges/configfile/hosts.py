"""The monitored hosts' files, `hosts/NAME.yaml`, one a host: the name of the file is the name of the host.

They belong to every environment: an overlay changes what is done with the hosts, never which there are. Hosts of
another site are another folder's (`--config`).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from obstack.edges.configfile.nodes import LARGEST_FILE_BYTES, Document, Mapping, Scalar, Tree, parse
from obstack.edges.configfile.simple import parse_simple
from obstack.edges.environments import HOSTS
from obstack.errors import WHOLE_FILE, Problem
from obstack.model.describe import describe
from obstack.model.host import Host
from obstack.model.loaded import Mark, Origin, Sources
from obstack.model.rules import Finding
from obstack.model.scalars import NAME_PATTERN
from obstack.model.words import spell

SUFFIX: Final = ".yaml"
STAND_IN: Final = "192.0.2.1"
"""Address of a host whose file cannot be read, so that the others can be judged; nothing is told of that host."""


@dataclass(frozen=True)
class HostFolder:
    """What the folder of the hosts' files holds: each host's document by name, and what is wrong with the folder.

    A host's document without a tree could not be read.
    """

    place: Origin
    documents: Table[str, Document]
    problems: tuple[Problem, ...]

    @property
    def unread(self) -> tuple[str, ...]:
        """Return the names of the hosts whose files could not be read."""
        return tuple(name for name, document in self.documents.items() if document.tree is None)

    def laid_into(self, tree: Mapping) -> Mapping:
        """Given the tree of the site, return it with the hosts."""
        if not self.documents:
            return tree
        hosts: dict[str, tuple[Origin, Tree]] = {
            name: (Origin(document.file), _host(document)) for name, document in self.documents.items()
        }
        return Mapping(tree.entries | {HOSTS: (self.place, Mapping(hosts, self.place))}, tree.place)


def read_hosts(folder: Path, read: Callable[[Path], Document], instead: Table[str, Document | None]) -> HostFolder:
    """Given the folder of a configuration and how a file is read, return what its hosts' files hold.

    `instead` are documents that stand in for those of the folder, None for a host that is gone.
    """
    place = folder / HOSTS
    found, problems = _listed(place)
    documents = {name: read(file) for name, file in found.items() if name not in instead}
    documents |= {name: document for name, document in instead.items() if document is not None}
    return HostFolder(Origin(str(place)), dict(sorted(documents.items())), tuple(problems))


def host_names(folder: Path) -> tuple[str, ...]:
    """Given the folder of a configuration, return the names of the hosts that have a file, in order."""
    return tuple(sorted(_listed(folder / HOSTS)[0]))


def parse_host(file: str, content: bytes) -> Document:
    """Given the name and content of a host's file, return its document; problems have their path in the site."""
    if content.isascii() and len(content) <= LARGEST_FILE_BYTES:
        text = content.decode("ascii")
        tree = parse_simple(file, text)
        if tree is not None:
            return Document(file, tree, tuple(text.splitlines()), ())
    document = parse(file, content, "address: 192.0.2.10")
    name = os.path.basename(file).removesuffix(SUFFIX)
    problems = (
        problem if problem.path == WHOLE_FILE else replace(problem, path=f"{spell((HOSTS, name))}.{problem.path}")
        for problem in document.problems
    )
    return replace(document, problems=tuple(problems))


def without_hosts(document: Document) -> Document:
    """Given a document of the site, return it without the key `hosts`, which is refused there."""
    if document.tree is None or HOSTS not in document.tree.entries:
        return document
    place = document.tree.entries[HOSTS][0]
    sources = Sources((document.file,), {document.file: document.lines}, {(HOSTS,): Mark(place, place)})
    finding = Finding(
        (HOSTS,),
        "does not belong here: each host has a file of its own, hosts/NAME.yaml, and is in every environment",
        "observability host add NAME --address ADDRESS    and remove the key here",
    )
    entries = {key: entry for key, entry in document.tree.entries.items() if key != HOSTS}
    return replace(
        document,
        tree=Mapping(entries, document.tree.place),
        problems=(*document.problems, sources.problem(finding, at_key=True)),
    )


def _listed(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """Return the files by the name of their host, and a problem for each that names no host."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return {}, []
    except NotADirectoryError:
        remedy = f"Make it a folder with a file NAME{SUFFIX} for each host."
        return {}, [_problem(folder, "is a file, not a folder", remedy)]
    except OSError as error:
        remedy = f"ls -ld {folder}    and correct its permissions"
        return {}, [_problem(folder, f"cannot be read: {error.strerror}", remedy)]
    problems = list(_misnamed(folder, names))
    return {name[: -len(SUFFIX)]: folder / name for name in names if _is_host_file(name)}, problems


def _is_host_file(name: str) -> bool:
    return name.endswith(SUFFIX) and re.fullmatch(NAME_PATTERN, name[: -len(SUFFIX)]) is not None


def _misnamed(folder: Path, names: list[str]) -> Iterator[Problem]:
    """Yield a problem for each file that was meant for a host. Hidden files and an editor's copies are not."""
    for name in names:
        stem, _, suffix = name.rpartition(".")
        if name.startswith(".") or suffix not in ("yaml", "yml") or _is_host_file(name):
            continue
        if re.fullmatch(NAME_PATTERN, stem):
            message = f"must end in {SUFFIX}"
        else:
            message = f"“{stem}” is not the name of a host: lower case letters, digits and hyphens, a letter first"
        better = re.sub(r"[^a-z0-9-]+", "-", stem.lower()).strip("-")
        better = better if re.fullmatch(NAME_PATTERN, better) and f"{better}{SUFFIX}" not in names else "NAME"
        # It is typed into a shell, and a file may have any name at all.
        old, new = shlex.quote(str(folder / name)), shlex.quote(str(folder / f"{better}{SUFFIX}"))
        yield _problem(folder / name, message, f"mv {old} {new}")


def _problem(file: Path, message: str, remedy: str) -> Problem:
    return Problem(str(file), 0, 0, WHOLE_FILE, message, remedy)


def _host(document: Document) -> Mapping:
    """Return the tree of a host. A key without any value means its default there, as long as it has one."""
    if document.tree is None:
        place = Origin(document.file)
        return Mapping({"address": (place, Scalar(STAND_IN, place, True))}, place)
    entries = {
        key: entry
        for key, entry in document.tree.entries.items()
        if key not in _OPTIONAL or not isinstance(entry[1], Scalar) or entry[1].written
    }
    return Mapping(entries, document.tree.place)


_OPTIONAL: Final = frozenset(key.name for key in describe(Host) if not key.required)
