"""A configuration that was read: the site, and for each value the file and line that it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from obstack.errors import Problem
from obstack.model.rules import Finding, Path
from obstack.model.site import Site
from obstack.model.words import mask, spell

_LONGEST_EXCERPT: Final = 160


@dataclass(frozen=True)
class Origin:
    """A place in a file. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    @property
    def place(self) -> str:
        """Return `file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Mark:
    """Where a value is and where its key is; for an item of a list both are the item."""

    key: Origin
    value: Origin


@dataclass(frozen=True)
class Sources:
    """What was read: `files` in the order of merging, `lines` their text, `marks` the place of every value."""

    files: tuple[str, ...]
    lines: Mapping[str, tuple[str, ...]]
    marks: Mapping[Path, Mark]

    def problem(self, finding: Finding, *, at_key: bool = False) -> Problem:
        """Given a finding, return it as a problem with its place; a key that is not written stands at its section."""
        written = finding.path in self.marks or finding.related not in self.marks
        place = self._place(finding.path if written else finding.related, at_key=at_key)
        return Problem(
            place.file,
            place.line,
            place.column,
            spell(finding.path),
            finding.message,
            finding.remedy,
            self.excerpt(place),
        )

    def excerpt(self, place: Origin) -> str:
        """Given a place, return its line with secrets masked; empty when there is none to show."""
        lines = self.lines.get(place.file, ())
        if not 1 <= place.line <= len(lines) or place.column > _LONGEST_EXCERPT:
            return ""
        return mask(lines[place.line - 1])[:_LONGEST_EXCERPT].replace("\t", " ").rstrip()

    def in_order(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Given problems, return them by file, line and column."""
        order = {file: index for index, file in enumerate(self.files)}
        return tuple(sorted(problems, key=lambda item: (order.get(item.file, 0), item.line, item.column, item.path)))

    def _place(self, path: Path, *, at_key: bool) -> Origin:
        mark = self.marks.get(path)
        if mark is not None:
            return mark.key if at_key else mark.value
        while path:
            path = path[:-1]
            if path in self.marks:
                return self.marks[path].key
        return Origin(self.files[0]) if self.files else Origin("")


@dataclass(frozen=True)
class LoadedConfiguration:
    """A valid configuration. `values` is what was written, merged; defaults are only in `site`."""

    site: Site
    values: Mapping[str, Any]
    sources: Sources

    @property
    def files(self) -> tuple[str, ...]:
        """Return the files that were read, in the order of merging."""
        return self.sources.files

    @property
    def origins(self) -> Mapping[Path, Origin]:
        """Return the place of every value that was written."""
        return {path: mark.value for path, mark in self.sources.marks.items()}
