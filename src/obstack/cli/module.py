"""`observability module list|show|validate|enable|disable|new`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from obstack.cli.completing import hosts as complete_hosts
from obstack.cli.completing import modules as complete_modules
from obstack.cli.lazy import OverviewGroup, documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import paint, print_json, print_line, problem_lines, sanitize, table
from obstack.errors import ConfigurationError

if TYPE_CHECKING:
    from obstack.catalog.modules import ModuleSet, ShippedModule
    from obstack.errors import Problem
    from obstack.model.site import Site


@click.group(cls=OverviewGroup)
def command() -> None:
    """Show, enable, check and write modules: what runs on monitored hosts."""


def _site(target: Target) -> Site | None:
    """Return what the configuration says, faults aside; None where there is none to read."""
    from obstack.edges.configfile import FileConfigurations

    legible = FileConfigurations(target.configuration).examine(target.environment).legible
    return None if legible is None else legible.site


def _modules(target: Target, site: Site | None) -> ModuleSet:
    from obstack.cli.composition import load_modules, module_cache
    from obstack.edges import modulefile

    return modulefile.load_modules(cache=module_cache(target)) if site is None else load_modules(target, site)


@documented("observability module list", "observability module list --json", group=command, name="list")
@target_options(Scope.FILES)
@json_option
def list_command(*, target: Target, as_json: bool) -> None:
    """List all modules with the hosts that use them."""
    from obstack.operations.modules import uses

    site = _site(target)
    found = uses(_modules(target, site), site)
    if as_json:
        print_json(
            [
                {
                    "name": use.module.name,
                    "title": use.module.module.title,
                    "folder": use.module.folder,
                    "hosts": use.hosts,
                }
                for use in found
            ]
        )
        return
    from obstack.cli.module_view import hosts_text

    rows = [(use.module.name, use.module.module.title, use.module.folder, hosts_text(use.hosts)) for use in found]
    for line in table(rows, header=("NAME", "WATCHES", "FROM", "HOSTS")):
        print_line(line)


@documented("observability module show nginx", "observability module show nginx --json", group=command, name="show")
@click.argument("name", shell_complete=complete_modules)
@target_options(Scope.FILES)
@json_option
def show_command(*, name: str, target: Target, as_json: bool) -> None:
    """Show a module: options with their defaults, alerts, port, program, and who speaks TLS."""
    from obstack.operations.modules import need_module

    module = need_module(_modules(target, _site(target)), name)
    if as_json:
        print_json(_document(module))
        return
    from obstack.cli.module_view import description_lines

    for line in description_lines(module):
        print_line(line)


def _document(module: ShippedModule) -> dict[str, Any]:
    return {
        "folder": module.folder,
        "module": module.module.model_dump(mode="json", exclude_none=True),
        "rules": module.rules.model_dump(mode="json", by_alias=True),
        "options": {name: option.model_dump(mode="json", exclude_none=True) for name, option in module.options.items()},
    }


@documented(
    "observability module validate",
    "observability module validate nginx",
    "observability module validate ./shop",
    group=command,
    name="validate",
)
@click.argument("which", metavar="[NAME|FOLDER]", required=False, shell_complete=complete_modules)
@target_options(Scope.FILES)
@json_option
def validate_command(*, which: str | None, target: Target, as_json: bool) -> None:
    """Check a module, by default all: form, templates, pages, and by promtool its queries and its alerts' tests."""
    from obstack.edges.modulefile.validate import validate_module
    from obstack.edges.promtool import find_promtool

    promtool = find_promtool(target.layout.root)
    problems: list[Problem] = []
    refused: dict[str, str] = {}
    folders = _folders(target, which)
    for folder, called in folders.items():
        found = validate_module(folder, called)
        problems += found.problems
        if found.shipped is not None and not found.problems and promtool is not None:
            answer = promtool.judge(found.shipped, found.tests)
            if answer:
                refused[called] = answer
    if as_json:
        told = [vars(problem) for problem in problems]
        print_json(
            {
                "valid": not problems and not refused,
                "modules": list(folders.values()),
                "problems": told,
                "promtool": refused if promtool is not None else None,
            }
        )
    else:
        _print_verdict(list(folders.values()), problems, refused, judged=promtool is not None)
    if problems or refused:
        raise SystemExit(ConfigurationError.exit_code)


def _folders(target: Target, which: str | None) -> Mapping[Path, str]:
    """Return the folders to check, with what each is called in messages."""
    from obstack.edges.module_places import FOLDER, MANIFEST, module_names, shipped_folder
    from obstack.edges.modulefile import further_folder
    from obstack.operations.modules import unknown_module

    if which is not None and ("/" in which or (Path(which) / MANIFEST).is_file()):
        return {Path(which).absolute(): which.rstrip("/")}
    shipped, site = shipped_folder(), _site(target)
    found = {shipped / name: f"{FOLDER}/{name}" for name in module_names(shipped)}
    further = further_folder(site, target.configuration) if site is not None else None
    if further is not None and further.is_dir():
        found |= {further / name: str(further / name) for name in module_names(further)}
    if which is None:
        return found
    chosen = {folder: called for folder, called in found.items() if folder.name == which}
    if not chosen:
        raise unknown_module(which, [folder.name for folder in found])
    return chosen


def _print_verdict(called: list[str], problems: list[Problem], refused: Mapping[str, str], *, judged: bool) -> None:
    import sys

    for problem in problems:
        for line in problem_lines(problem, stream=sys.stdout):
            print_line(line)
    for name, answer in refused.items():
        print_line(f"{sanitize(name)}: promtool refuses it")
        for line in sanitize(answer).split("\n"):
            print_line(f"  | {line}")
    count = len(problems) + len(refused)
    if count:
        print_line(f"{count} problem{'' if count == 1 else 's'}")
    else:
        print_line(f"{', '.join(map(sanitize, called))}: {paint('valid', 'green')}")
    if not judged:
        click.echo("note: there is no promtool here, so queries and tests of alerts were not run", err=True)


@documented(
    "observability module enable nginx --host web-1",
    "observability module enable redis --host db-1 --option address=redis://127.0.0.1:6379",
    group=command,
    name="enable",
)
@click.argument("name", shell_complete=complete_modules)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    required=True,
    metavar="HOST",
    shell_complete=complete_hosts,
    help="Host to run it. May be repeated.",
)
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of it. May be repeated.")
@target_options(Scope.FILES)
@json_option
def enable_command(
    *, name: str, hosts: tuple[str, ...], options: tuple[str, ...], target: Target, as_json: bool
) -> None:
    """Make hosts run a module: their files get it, and nothing else of them changes. `apply` then does it."""
    from obstack.edges.hostfile import HostFiles
    from obstack.operations.modules import enable, need_module, need_site

    site = need_site(_site(target), str(target.configuration))
    module = need_module(_modules(target, site), name)
    _tell(target, enable(module, hosts, options, HostFiles(target.configuration), site), as_json=as_json)


@documented("observability module disable nginx --host web-1", group=command, name="disable")
@click.argument("name", shell_complete=complete_modules)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    required=True,
    metavar="HOST",
    shell_complete=complete_hosts,
    help="Host to spare. May be repeated.",
)
@target_options(Scope.FILES)
@json_option
def disable_command(*, name: str, hosts: tuple[str, ...], target: Target, as_json: bool) -> None:
    """Make hosts run a module no longer; its options stay in their files. `apply` then takes it off them."""
    from obstack.edges.hostfile import HostFiles
    from obstack.operations.modules import disable, need_module

    module = need_module(_modules(target, _site(target)), name)
    _tell(target, disable(module, hosts, HostFiles(target.configuration)), as_json=as_json)


def _tell(target: Target, changed: Mapping[str, bool], *, as_json: bool) -> None:
    from obstack.edges.hostfile import HostFiles

    places = {host: HostFiles(target.configuration).place(host) for host in changed}
    if as_json:
        print_json({host: {"file": places[host], "changed": done} for host, done in changed.items()})
        return
    for host, done in changed.items():
        print_line(f"{places[host]}: {'written' if done else 'says so already'}")
    if any(changed.values()):
        print_line("What next: observability plan    shows what an apply would do")


@documented(
    "observability module new shop",
    "observability module new shop --folder /srv/observability-modules",
    group=command,
    name="new",
)
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("modules"),
    metavar="DIR",
    help="Folder of modules in which it is made. [default: modules]",
)
@json_option
def new_command(*, name: str, folder: Path, as_json: bool) -> None:
    """Write a module to begin with: it is commented, works and passes `module validate`, tests included."""
    from obstack.edges.modulefile.begin import begin_module

    written = begin_module(folder, name)
    if as_json:
        print_json({"written": written})
        return
    for path in written:
        print_line(f"wrote {path}")
    print_line()
    print_line("What next:")
    print_line(f"  1. edit it         {folder / name}/module.yaml")
    print_line(f"  2. check it        observability module validate {folder / name}/")
    print_line("  3. name its folder in config/global.yaml: modules: {folder: DIR}")
