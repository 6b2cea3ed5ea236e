"""Reads one file of a module into its section of the model: quickly while it is right, else with every place."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from obstack.edges.configfile.merge import unfold
from obstack.edges.configfile.nodes import parse
from obstack.edges.configfile.translate import translate_all
from obstack.errors import Problem
from obstack.model.base import Section
from obstack.model.describe import fill_empty_sections
from obstack.model.loaded import Sources
from obstack.model.rules import Finding

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class KeptValues:
    """What YAML files hold, as JSON by the digest of their bytes: reading YAML is what costs time.

    Whatever cannot be read or written here is read from the YAML anew, so the folder may vanish at any time. What is in
    it decides what runs on hosts, so a folder that somebody else may write is not used.
    """

    folder: Path | None

    def find(self, content: bytes) -> bytes | None:
        """Given a file's bytes, return its values as JSON, or None when they are not kept."""
        if self.folder is None:
            return None
        try:
            return self._place(content).read_bytes() if _is_own(self.folder) else None
        except OSError:
            return None

    def keep(self, content: bytes, values: bytes) -> None:
        """Given a file's bytes and its values as JSON, keep them."""
        if self.folder is None:
            return
        place = self._place(content)
        try:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_own(place.parent):
                return
            with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
                file.write(values)
            os.replace(file.name, place)
        except OSError:
            return

    def _place(self, content: bytes) -> Path:
        assert self.folder is not None  # noqa: S101 both callers have looked
        return self.folder / f"{hashlib.sha256(content).hexdigest()}.json"


def _is_own(folder: Path) -> bool:
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@dataclass(frozen=True)
class ReadFile(Generic[S]):
    """One file: its section when its form is valid, and the problems of its form."""

    file: str
    content: bytes
    section: S | None
    problems: tuple[Problem, ...]

    def told(self, findings: Sequence[Finding]) -> list[Problem]:
        """Given findings about the section, return them as problems with their places."""
        if not findings:
            return []
        document = parse(self.file, self.content)
        assert document.tree is not None  # noqa: S101 the section was made from it
        _, marks = unfold(document.tree)
        sources = Sources((self.file,), {self.file: document.lines}, marks)
        return list(sources.in_order(sources.problem(finding) for finding in findings))


def read_section(section: type[S], file: str, content: bytes, kept: KeptValues) -> ReadFile[S]:
    """Given a section of the model and a YAML file's name and bytes, return what it holds, or all its problems."""
    values = kept.find(content)
    if values is not None:
        try:
            return ReadFile(file, content, section.model_validate_json(values, strict=True), ())
        except ValidationError:
            pass  # kept by another version of this program, or damaged: the file itself has the last word
    return _read_slowly(section, file, content, kept)


def _read_slowly(section: type[S], file: str, content: bytes, kept: KeptValues) -> ReadFile[S]:
    document = parse(file, content)
    if document.tree is None:
        return ReadFile(file, content, None, document.problems)
    values, marks = unfold(document.tree)
    sources = Sources((file,), {file: document.lines}, marks)
    encoded = json.dumps(fill_empty_sections(section, values)).encode()
    try:
        valid = section.model_validate_json(encoded, strict=True)
    except ValidationError as error:
        told = {problem.path for problem in document.problems}
        translated = translate_all(error.errors(include_url=False), section)
        found = [sources.problem(finding, at_key=at_key) for finding, at_key in translated]
        problems = [*document.problems, *(problem for problem in found if problem.path not in told)]
        return ReadFile(file, content, None, sources.in_order(problems))
    if document.problems:
        return ReadFile(file, content, None, document.problems)
    kept.keep(content, encoded)
    return ReadFile(file, content, valid, ())


def text_of(file: str, content: bytes) -> tuple[str, tuple[Problem, ...]]:
    """Given a text file's name and bytes, return its text, or the problem that it is none."""
    try:
        return content.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return "", (Problem(file, line, 1, "(file)", "is not UTF-8", f"iconv -f LATIN1 -t UTF-8 {file}"),)
