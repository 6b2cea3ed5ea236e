"""Reads `global.yaml`, an environment's overlay and the hosts' files from a folder and makes the site of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from pydantic import ValidationError

from obstack.edges.configfile.hosts import HostFolder, parse_host, read_hosts, without_hosts
from obstack.edges.configfile.merge import merge, unfold
from obstack.edges.configfile.modules import JudgedModules, judge_modules
from obstack.edges.configfile.nodes import LARGEST_FILE_BYTES, Document, Mapping, Scalar, parse
from obstack.edges.configfile.translate import Translation, translate_all
from obstack.edges.environments import ENVIRONMENTS, HOSTS, environments
from obstack.errors import WHOLE_FILE, ConfigurationError, Problem
from obstack.model.describe import fill_empty_sections, key_at
from obstack.model.fleet_rules import fleet_rules
from obstack.model.legible import Legible, with_examples, within
from obstack.model.loaded import LoadedConfiguration, Origin, Sources
from obstack.model.rules import Finding, cross_rules
from obstack.model.scalars import NAME_PATTERN
from obstack.model.site import Site
from obstack.model.suspicions import suspicions
from obstack.model.words import nearest, spell
from obstack.ports import Examination

GLOBAL_FILE: Final = "global.yaml"


@dataclass(frozen=True)
class FileConfigurations:
    """The configurations in a folder: the base `global.yaml`, overlays `environments/NAME.yaml`, `hosts/NAME.yaml`.

    In `cache` is kept what makes it quick to read the modules that the hosts use.
    """

    folder: FilePath
    cache: FilePath | None = None

    def environments(self) -> tuple[str, ...]:
        """Return the names of the environments that have an overlay, in order."""
        return environments(self.folder)

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
        return self.examine_edited({}, environment)

    def examine_edited(self, edited: Table[str, bytes | None], environment: str | None = None) -> Examination:
        """Given what some hosts' files are about to hold, None for one that goes, return what `examine` would then."""
        documents = [without_hosts(_read(self.folder / GLOBAL_FILE, _init_remedy(self.folder)))]
        if environment is not None:
            documents.append(without_hosts(self._overlay(environment)))
        return _examine(documents, self._hosts(edited), environment, self._modules)

    def examine_file(self, file: FilePath) -> Examination:
        """Given a file, return what it says as the base of this folder's hosts, and every problem."""
        document = without_hosts(_read(file, "Name an environment, or a file that exists."))
        return _examine([document], self._hosts({}), judge_modules=self._modules)

    def _modules(self, site: Site) -> JudgedModules:
        return judge_modules(site, self.folder, self.cache)

    def _hosts(self, edited: Table[str, bytes | None]) -> HostFolder:
        folder = self.folder / HOSTS
        instead = {
            name: None if content is None else parse_host(str(folder / f"{name}.yaml"), content)
            for name, content in edited.items()
        }
        return read_hosts(self.folder, lambda file: _read(file, f"ls -l {file}", parse_host), instead)

    def _overlay(self, environment: str) -> Document:
        folder = self.folder / ENVIRONMENTS
        known = self.environments()
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
    return _examine([without_hosts(parse(file, content))], HostFolder(Origin(file), {}, ()))


def _no_modules(_site: Site) -> JudgedModules:
    return JudgedModules()


def _examine(
    documents: Sequence[Document],
    hosts: HostFolder,
    environment: str | None = None,
    judge_modules: Callable[[Site], JudgedModules] = _no_modules,
) -> Examination:
    """Given the base, an overlay if there is an environment, and the hosts, return what they say together."""
    read = [*documents, *hosts.documents.values()]
    problems = [*hosts.problems, *(problem for document in read for problem in document.problems)]
    lines = {document.file: document.lines for document in read}
    sources = Sources(tuple(document.file for document in read), lines, {})
    if any(document.tree is None for document in documents):
        return Examination(None, sources, sources.in_order(problems))
    base, *overlays = (document.tree for document in documents if document.tree is not None)
    for overlay in overlays:
        base = merge(base, _named(overlay, documents[1].file, str(environment)))
    values, marks = unfold(hosts.laid_into(base))
    unread = frozenset(spell((HOSTS, name)) for name in hosts.unread)
    return _judge(values, Sources(sources.files, lines, marks), problems, unread, judge_modules)


def _init_remedy(folder: FilePath) -> str:
    where = "" if str(folder) == "config" else f" --config {folder}"
    return f"observability config init{where} --domain NAME"


def _read(file: FilePath, remedy: str, parse: Callable[[str, bytes], Document] = parse) -> Document:
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


def _judge(
    values: dict[str, Any],
    sources: Sources,
    read: Sequence[Problem],
    unread: frozenset[str],
    judge_modules: Callable[[Site], JudgedModules],
) -> Examination:
    """Validate the values, and judge by the rules between sections and the suspicions whatever has a valid form.

    `read` are the problems that were found in reading, `unread` what could not be read; what is wrong because of them
    is not told again.
    """
    told = unread | {problem.path for problem in read}
    legible, translations = _legible(fill_empty_sections(Site, values), told)
    judged = [sources.problem(finding, at_key=at_key) for finding, at_key in translations]
    modules = judge_modules(legible.site)
    # An option that nobody wrote is of an example that stands in for a faulty one.
    of_modules = [found for found in modules.findings if found.path in sources.marks or found.related in sources.marks]
    for finding in legible.sound([*cross_rules(legible.site), *fleet_rules(legible.site), *of_modules]):
        judged.append(sources.problem(finding, at_key=_names_a_key(finding)))
    production = values.get("environment", "production") == "production"
    suspected = [sources.problem(finding) for finding in suspicions(values, production=production)]
    # That a placeholder has not the form of the real value goes without saying.
    placeholders = {problem.path for problem in suspected}
    judged = [problem for problem in judged if problem.path not in placeholders] + suspected
    judged = [problem for problem in judged if not any(within(problem.path, path) for path in told)]
    loaded = None if read or translations else LoadedConfiguration(legible.site, values, sources)
    return Examination(loaded, sources, sources.in_order([*read, *judged, *modules.problems]), legible, modules.secrets)


def _legible(values: dict[str, Any], told: frozenset[str]) -> tuple[Legible, list[Translation]]:
    """Return what can be judged of the values, and what is wrong with the form of the others."""
    try:
        return Legible(_validate(values), told), []
    except ValidationError as error:
        translations = translate_all(error.errors(include_url=False))
    faulty = [translation.finding.path for translation in translations]
    site = _validate(with_examples(values, faulty))
    return Legible(site, told | {spell(path) for path in faulty}), translations


def _validate(values: dict[str, Any]) -> Site:
    # Strict, and from JSON: there a list may become a tuple and a word a choice, but never a number text.
    return Site.model_validate_json(json.dumps(values), strict=True)


def _names_a_key(finding: Finding) -> bool:
    """Whether the finding is about the key of a free mapping (a label, a component), not about its value."""
    key = key_at(Site, finding.path)
    return key is not None and key.kind == "mapping" and finding.path[-1] != key.name
