"""Reads `global.yaml` and an environment's overlay from a folder and makes the site of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from pydantic import ValidationError

from obstack.edges.configfile.merge import merge, unfold
from obstack.edges.configfile.nodes import LARGEST_FILE_BYTES, Document, Mapping, Scalar, parse
from obstack.edges.configfile.translate import translate_all
from obstack.errors import WHOLE_FILE, ConfigurationError, Problem
from obstack.model.describe import fill_empty_sections, key_at
from obstack.model.loaded import LoadedConfiguration, Origin, Sources
from obstack.model.rules import Finding, cross_rules
from obstack.model.scalars import NAME_PATTERN
from obstack.model.site import Site
from obstack.model.suspicions import suspicions
from obstack.model.words import nearest
from obstack.ports import Examination

GLOBAL_FILE: Final = "global.yaml"
ENVIRONMENTS: Final = "environments"


@dataclass(frozen=True)
class FileConfigurations:
    """The configurations in a folder: the base `global.yaml`, and overlays `environments/NAME.yaml`."""

    folder: FilePath

    def load(self, environment: str | None = None) -> LoadedConfiguration:
        """Given an environment's name or None, return the configuration.

        Raises ConfigurationError with all problems.
        """
        examination = self.examine(environment)
        if examination.loaded is None or examination.problems:
            raise ConfigurationError(examination.problems, do="observability config validate")
        return examination.loaded

    def examine(self, environment: str | None = None) -> Examination:
        """Given an environment's name or None, return what could be read and every problem found, in order of place."""
        documents = [_read(self.folder / GLOBAL_FILE, _init_remedy(self.folder))]
        if environment is not None:
            documents.append(self._overlay(environment))
        problems = [problem for document in documents for problem in document.problems]
        trees = [document.tree for document in documents if document.tree is not None]
        lines = {document.file: document.lines for document in documents}
        files = tuple(document.file for document in documents)
        if len(trees) < len(documents):
            return Examination(None, Sources(files, lines, {}), tuple(problems))
        tree = trees[0]
        if environment is not None:
            tree = merge(tree, _named(trees[1], documents[1].file, environment))
        values, marks = unfold(tree)
        return _with_problems(problems, _judge(values, Sources(files, lines, marks)))

    def examine_file(self, file: FilePath) -> Examination:
        """Given a file that stands alone, return what could be read and every problem found."""
        return _alone(_read(file, "Name an environment, or a file that exists."))

    def _overlay(self, environment: str) -> Document:
        folder = self.folder / ENVIRONMENTS
        known = sorted(file.stem for file in folder.glob("*.yaml")) if folder.is_dir() else []
        hint = nearest(environment, known)
        listed = (
            f"Environments: {', '.join(known)}."
            if known
            else f"Make {folder}/{environment}.yaml with the keys that differ."
        )
        if not re.fullmatch(NAME_PATTERN, environment):
            problem = Problem(
                str(folder),
                0,
                0,
                "environment",
                f"the name “{environment}” is not the name of an environment",
                f"{hint}{listed}",
            )
            return Document(str(folder), None, (), (problem,))
        return _read(folder / f"{environment}.yaml", f"{hint}{listed}")


def examine_bytes(file: str, content: bytes) -> Examination:
    """Given the name and content of a file that stands alone, return what could be read and every problem found."""
    return _alone(parse(file, content))


def _alone(document: Document) -> Examination:
    files, lines = (document.file,), {document.file: document.lines}
    if document.tree is None:
        return Examination(None, Sources(files, lines, {}), document.problems)
    values, marks = unfold(document.tree)
    return _with_problems(document.problems, _judge(values, Sources(files, lines, marks)))


def _with_problems(read: Sequence[Problem], judged: Examination) -> Examination:
    """Add the problems that were found in reading; what is wrong because of them is not told again."""
    if not read:
        return judged
    told = [problem.path for problem in read]
    others = [
        problem
        for problem in judged.problems
        if not any(problem.path == path or problem.path.startswith((f"{path}.", f"{path}[")) for path in told)
    ]
    return Examination(None, judged.sources, judged.sources.in_order([*read, *others]))


def _init_remedy(folder: FilePath) -> str:
    where = "" if str(folder) == "config" else f" --config {folder}"
    return f"observability config init{where} --domain NAME"


def _read(file: FilePath, remedy: str) -> Document:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        return _unreadable(file, "does not exist", remedy)
    except IsADirectoryError:
        return _unreadable(file, "is a folder, not a file", remedy)
    except OSError as error:
        return _unreadable(file, f"cannot be read: {error.strerror}", f"ls -l {file}    and correct its permissions")
    return parse(str(file), content)


def _unreadable(file: FilePath, message: str, remedy: str) -> Document:
    return Document(str(file), None, (), (Problem(str(file), 0, 0, WHOLE_FILE, message, remedy),))


def _named(overlay: Mapping, file: str, environment: str) -> Mapping:
    """The overlay of staging is staging: its series must not be labelled production because a line was forgotten."""
    if "environment" in overlay.entries:
        return overlay
    place = Origin(file)
    return Mapping(overlay.entries | {"environment": (place, Scalar(environment, place, True))}, overlay.place)


def _judge(values: dict[str, Any], sources: Sources) -> Examination:
    """Validate the values; on a valid model judge the rules between its sections, in any case the suspicions."""
    site: Site | None = None
    problems: list[Problem] = []
    try:
        # Strict, and from JSON: there a list may become a tuple and a word a choice, but never a number text.
        site = Site.model_validate_json(json.dumps(fill_empty_sections(Site, values)), strict=True)
    except ValidationError as error:
        for finding, at_key in translate_all(error.errors(include_url=False)):
            problems.append(sources.problem(finding, at_key=at_key))
    if site is not None:
        problems += [sources.problem(finding, at_key=_names_a_key(finding)) for finding in cross_rules(site)]
    production = values.get("environment", "production") == "production"
    suspected = [sources.problem(finding) for finding in suspicions(values, production=production)]
    # That a placeholder has not the form of the real value goes without saying.
    paths = {problem.path for problem in suspected}
    problems = [problem for problem in problems if problem.path not in paths] + suspected
    loaded = None if site is None else LoadedConfiguration(site, values, sources)
    return Examination(loaded, sources, sources.in_order(problems))


def _names_a_key(finding: Finding) -> bool:
    """Whether the finding is about the key of a free mapping (a label, a component), not about its value."""
    key = key_at(Site, finding.path)
    return key is not None and key.kind == "mapping" and finding.path[-1] != key.name
