"""Which packages an artifact is made of: those that the component names, and the shared libraries they need.

Libraries are taken even when this machine has them: the artifact then is the same everywhere, and nothing that the
host installs or removes can break it. Only the C library and the compiler's own stay the system's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from obstack.catalog.components import LIBRARY_PATHS, Package
from obstack.edges.debian.index import PROVIDED_BY_EVERY_SYSTEM, PackageVersion, choose

Lookup = Callable[[Iterable[str]], list[PackageVersion]]
"""Given names, return every version of them in the index."""


def close(roots: Iterable[tuple[Package, PackageVersion]], lookup: Lookup) -> list[tuple[Package, PackageVersion]]:
    """Given a component's packages at their versions, return them followed by the libraries they need, sorted by name.

    Each level of dependencies is one lookup.
    """
    chosen = list(roots)
    known = {package.name for package, _ in chosen}
    level = [version for package, version in chosen if package.followed]
    libraries: dict[str, PackageVersion] = {}
    while level:
        groups = [group for version in level for group in version.dependencies]
        wanted = {dependency.name for group in groups for dependency in group} - known
        versions = lookup(sorted(wanted)) if wanted else []
        level = []
        for group in groups:
            if any(dependency.name in known for dependency in group):
                continue
            for dependency in group:
                found = choose(versions, dependency.name)
                if found is not None and found.library and not PROVIDED_BY_EVERY_SYSTEM.fullmatch(found.name):
                    libraries[found.name] = found
                    known.add(found.name)
                    level.append(found)
                    break
    return chosen + [(Package(name, LIBRARY_PATHS), libraries[name]) for name in sorted(libraries)]
