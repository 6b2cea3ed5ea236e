"""Judges how a site uses modules: the one rule between sections that needs more than the site itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from obstack.errors import ConfigurationError, Problem
from obstack.model.rules import Finding
from obstack.model.rules import Path as Place
from obstack.model.site import Site


@dataclass(frozen=True)
class JudgedModules:
    """Findings about the site, the problems in the files of the modules themselves, and the secrets that options name.

    Each secret comes with the path of the reference.
    """

    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()
    secrets: tuple[tuple[Place, str], ...] = ()


def judge_modules(site: Site, folder: Path, cache: Path | None) -> JudgedModules:
    """Given a site and the folder of its configuration, return what is wrong with its modules and its use of them.

    Without hosts nothing is read.
    """
    if not site.hosts and not site.fleet.groups:
        return JudgedModules()
    # Imported here: the reading of modules is built upon the reading of configuration.
    from obstack.catalog.modules import module_findings
    from obstack.catalog.modules.findings import secret_options
    from obstack.edges.modulefile import further_folder, load_modules

    further = further_folder(site, folder)
    if further is not None and not further.is_dir():
        finding = Finding(
            ("modules", "folder"), f"{further} is not a folder", f"mkdir -p {further}    or remove the key"
        )
        return JudgedModules((finding,))
    try:
        modules = load_modules(*(() if further is None else (further,)), cache=cache)
    except ConfigurationError as error:
        return JudgedModules(problems=error.problems)
    return JudgedModules(tuple(module_findings(site, modules)), secrets=tuple(secret_options(site, modules)))
