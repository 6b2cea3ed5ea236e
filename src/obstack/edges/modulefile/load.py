"""Finds the modules in folders and reads them: manifest, alerts, their tests, dashboard, pages and further files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from obstack.catalog.modules.judge import module_faults, rule_faults
from obstack.catalog.modules.shipped import ModuleSet, ShippedModule
from obstack.edges.module_places import FOLDER, MANIFEST, module_names, shipped_folder
from obstack.edges.modulefile.read import KeptValues, ReadFile, read_section, text_of
from obstack.errors import WHOLE_FILE, ConfigurationError, Problem, UsageError
from obstack.model.dashboard import Dashboard
from obstack.model.module import RELATIVE_PATH_PATTERN, Module, ModuleRules
from obstack.model.scalars import NAME_PATTERN
from obstack.model.site import Site

RULES: Final = "alerts.yaml"
TESTS: Final = "alerts.test.yaml"
DASHBOARD: Final = "dashboard.json"
RUNBOOKS: Final = "runbooks"
LARGEST_BYTES: Final = 1 << 20
_OWN: Final = (MANIFEST, RULES, TESTS, DASHBOARD)


def further_folder(site: Site, configuration: Path) -> Path | None:
    """Given a site and the folder of its configuration, return the folder of further modules, if it names one."""
    return None if site.modules.folder is None else configuration / site.modules.folder


def load_modules(*folders: Path, cache: Path | None = None) -> ModuleSet:
    """Given the folders of further modules, return all modules by name: those that this program brings, and those.

    In `cache` is kept what makes the next reading quick. Raises ConfigurationError with the problems of all of them,
    UsageError when a folder is not there.
    """
    shipped, kept = shipped_folder(), KeptValues(cache)
    examined = [(name, examine_module(shipped / name, f"{FOLDER}/{name}", kept)) for name in module_names(shipped)]
    for folder in folders:
        examined += _further(folder, shipped, {name for name, _ in examined}, kept)
    problems = tuple(problem for _, module in examined for problem in module.problems)
    if problems:
        raise ConfigurationError(problems, do="observability module validate    after correcting them")
    return {name: module.shipped for name, module in examined if module.shipped is not None}


@dataclass(frozen=True)
class Examined:
    """What a module's folder holds: the module when its form is valid, and every problem."""

    shipped: ShippedModule | None
    problems: tuple[Problem, ...]


def examine_module(folder: Path, called: str = "", kept: KeptValues = KeptValues(None)) -> Examined:  # noqa: B008 frozen
    """Given a module's folder and what it is called in messages, return what it holds and every problem."""
    called = called or str(folder)
    contents, problems = _contents(folder, called)
    manifest = read_section(Module, f"{called}/{MANIFEST}", contents.get(MANIFEST, b""), kept)
    rules = read_section(ModuleRules, f"{called}/{RULES}", contents.get(RULES, b""), kept)
    tests, unreadable = text_of(f"{called}/{TESTS}", contents.get(TESTS, b""))
    # JSON is YAML too, and this reader knows the place of every slip.
    drawn = contents.get(DASHBOARD)
    dashboard = read_section(Dashboard, f"{called}/{DASHBOARD}", drawn, kept) if drawn is not None else None
    pages: dict[str, str] = {}
    for name in (name for name in contents if name.startswith(f"{RUNBOOKS}/") and name.endswith(".md")):
        pages[Path(name).stem], fault = text_of(f"{called}/{name}", contents[name])
        problems += fault
    files = {name: content for name, content in contents.items() if name not in _OWN and not name.startswith(RUNBOOKS)}
    problems += [*manifest.problems, *rules.problems, *unreadable, *(dashboard.problems if dashboard else ())]
    problems += _judged(manifest, rules, files, folder.name)
    if manifest.section is None or rules.section is None:
        return Examined(None, tuple(problems))
    drawing = dashboard.section if dashboard else None
    shipped = ShippedModule(manifest.section, rules.section, tests, drawing, files, pages, called)
    return Examined(shipped, tuple(problems))


def _judged(
    manifest: ReadFile[Module], rules: ReadFile[ModuleRules], files: dict[str, bytes], folder: str
) -> Iterator[Problem]:
    if manifest.section is None:
        return
    yield from manifest.told(module_faults(manifest.section, files, folder))
    if rules.section is not None:
        yield from rules.told(rule_faults(manifest.section, rules.section))


def _contents(folder: Path, called: str) -> tuple[dict[str, bytes], list[Problem]]:
    """Return the bytes of every file of a module by its path in the folder. What could lead out of it is refused."""
    contents: dict[str, bytes] = {}
    problems: list[Problem] = []
    for place in sorted(folder.rglob("*")):
        name = place.relative_to(folder).as_posix()
        if place.is_dir() and not place.is_symlink():
            continue
        refused = _refusal(place, name)
        if refused is not None:
            problems.append(Problem(f"{called}/{name}", 0, 0, WHOLE_FILE, *refused))
            continue
        try:
            contents[name] = place.read_bytes()
        except OSError as error:
            remedy = f"ls -l {place}    and correct its permissions"
            problems.append(Problem(f"{called}/{name}", 0, 0, WHOLE_FILE, f"cannot be read: {error.strerror}", remedy))
    if MANIFEST not in contents and not problems:
        remedy = "observability module new NAME    makes a module to begin with"
        problems.append(Problem(f"{called}/{MANIFEST}", 0, 0, WHOLE_FILE, "does not exist", remedy))
    return contents, problems


def _refusal(place: Path, name: str) -> tuple[str, str] | None:
    if place.is_symlink() or not place.is_file():
        return "is not a plain file", "Put the file itself into the module's folder."
    if not re.fullmatch(RELATIVE_PATH_PATTERN, name):
        return "has a name that is not allowed", "Use letters, digits and ._@+- in names, not beginning with a dot."
    if place.stat().st_size > LARGEST_BYTES:
        return f"is larger than {LARGEST_BYTES} bytes", "Modules are small; is this the right file?"
    return None


def _further(folder: Path, shipped: Path, taken: set[str], kept: KeptValues) -> list[tuple[str, Examined]]:
    if not folder.is_dir():
        raise UsageError(
            code="modules-missing",
            what="The folder of further modules does not exist.",
            where=f"{folder} (modules.folder)",
            state="nothing was touched",
            do=f"mkdir -p {folder}    or correct modules.folder",
        )
    found = []
    for name in module_names(folder):
        place = folder / name
        if name in taken:
            remedy = f"Rename the folder and its name; {shipped / name} keeps this one."
            found.append((name, _refused(place, f"{name} is the name of a module that there is already", remedy)))
        elif not re.fullmatch(NAME_PATTERN, name):
            remedy = "Use lower case letters, digits and hyphens, beginning with a letter."
            found.append((name, _refused(place, "has a name that is not allowed for a module", remedy)))
        elif place.is_symlink() and not place.resolve().is_relative_to(folder.resolve()):
            found.append((name, _refused(place, "leads out of the folder of modules", "Put the module itself there.")))
        else:
            found.append((name, examine_module(place, kept=kept)))
    return found


def _refused(place: Path, message: str, remedy: str) -> Examined:
    return Examined(None, (Problem(str(place), 0, 0, WHOLE_FILE, message, remedy),))
