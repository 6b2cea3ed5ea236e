"""What the signed index says about packages: versions, digests and dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from obstack.catalog.deb822 import stanzas
from obstack.catalog.versions import debian_key, matches

LIBRARY_SECTIONS: Final = {"libs", "oldlibs"}
PROVIDED_BY_EVERY_SYSTEM: Final = re.compile(r"libc6|libgcc-s1|gcc-\d+-base")
"""The C library and what belongs to the compiler: a program can use no other than the system's own."""

_DEPENDENCY: Final = re.compile(r"([a-z0-9][a-z0-9+.-]+)(?::\w+)?\s*(?:\(\s*(<<|<=|=|>=|>>)\s*(\S+?)\s*\))?")


@dataclass(frozen=True)
class Dependency:
    """One alternative of a dependency. `relation` and `version` are empty when any version will do."""

    name: str
    relation: str = ""
    version: str = ""


@dataclass(frozen=True)
class PackageVersion:
    """One version of a package, as the index has it. `filename` is its path below the archive's URI."""

    name: str
    version: str
    section: str
    filename: str
    digest: str
    size: int
    dependencies: tuple[tuple[Dependency, ...], ...]

    @property
    def library(self) -> bool:
        """Whether it is a package of shared libraries."""
        return self.section.rpartition("/")[2] in LIBRARY_SECTIONS


def parse_packages(text: str) -> Iterator[PackageVersion]:
    """Given stanzas of the index, yield the packages; a stanza without a SHA-256 does not come from a signed index."""
    for fields in stanzas(text):
        # Nor does one that lacks what every index has.
        if not fields.keys() >= {"package", "version", "filename", "sha256"} or not fields.get("size", "").isdecimal():
            continue
        relations = ", ".join(fields[name] for name in ("pre-depends", "depends") if name in fields)
        yield PackageVersion(
            name=fields["package"],
            version=fields["version"],
            section=fields.get("section", ""),
            filename=fields["filename"],
            digest=fields["sha256"],
            size=int(fields["size"]),
            dependencies=tuple(parse_dependencies(relations)),
        )


def parse_dependencies(text: str) -> Iterator[tuple[Dependency, ...]]:
    """Given the value of a dependency field, yield each dependency with its alternatives."""
    for group in text.replace("\n", " ").split(","):
        alternatives = tuple(
            Dependency(match[1], match[2] or "", match[3] or "")
            for part in group.split("|")
            if (match := _DEPENDENCY.match(part.strip()))
        )
        if alternatives:
            yield alternatives


def choose(versions: Iterable[PackageVersion], name: str, wanted: str | None = None) -> PackageVersion | None:
    """Given versions of packages, return the newest of `name` that is the wanted one, or None."""
    fitting = [item for item in versions if item.name == name and (wanted is None or matches(item.version, wanted))]
    return max(fitting, key=lambda item: debian_key(item.version), default=None)


def needed_c_library(packages: Iterable[PackageVersion]) -> str:
    """Given packages, return the version of the C library that all of them can run with; `0` when any will do."""
    needed = [
        dependency.version
        for package in packages
        for group in package.dependencies
        for dependency in group
        if dependency.name == "libc6" and dependency.relation == ">="
    ]
    return max(needed, key=debian_key, default="0")
