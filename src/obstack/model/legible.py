"""What can be judged of a configuration that has faults: examples stand in for its faulty values."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from obstack.model.describe import key_at
from obstack.model.rules import Finding, Path
from obstack.model.site import Site
from obstack.model.words import spell


@dataclass(frozen=True)
class Legible:
    """A site, and the spelled paths of the values that are not as they were written, because those have faults."""

    site: Site
    faulty: frozenset[str] = frozenset()

    def sound(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Given findings about the site, yield those that no faulty value has a part in."""
        for finding in findings:
            rests_on = {spell(path) for path in (finding.path, finding.related, *finding.rests_on) if path}
            if not any(within(path, fault) for path in rests_on for fault in self.faulty):
                yield finding


def within(path: str, other: str) -> bool:
    """Given two spelled paths, return whether the first is the second or a part of what is there."""
    return path == other or path.startswith((f"{other}.", f"{other}["))


def with_examples(values: Mapping[str, Any], faulty: Iterable[Path]) -> dict[str, Any]:
    """Given the values of a site and the paths of those with a fault, return them with examples in their place.

    Everything keeps its position, so findings about the others name their right place. What nothing needs is dropped:
    unknown keys, and entries of free mappings.
    """
    mended = copy.deepcopy(dict(values))
    for path in sorted(set(faulty), key=len, reverse=True):
        parent: Any = mended
        for part in path[:-1]:
            parent = parent[part]
        _mend(parent, path)
    return mended


def _mend(parent: Any, path: Path) -> None:
    key, above, name = key_at(Site, path), key_at(Site, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent[int(name)] = copy.deepcopy(key.example[0]) if key else None
    elif key is None or key == above:
        parent.pop(name, None)
        if key is not None and not parent:
            parent.update(key.example)
    else:
        parent[name] = copy.deepcopy(key.example)
