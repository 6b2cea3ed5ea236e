"""`observability config init|validate|show|schema|diff`."""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from obstack.cli.composition import file_secrets
from obstack.cli.lazy import OverviewGroup, documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import paint, print_json, print_line, problem_lines, sanitize, table
from obstack.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from obstack.edges.configfile import FileConfigurations
    from obstack.errors import Problem
    from obstack.model.loaded import LoadedConfiguration
    from obstack.ports import Examination


@click.group(cls=OverviewGroup)
def command() -> None:
    """Begin, check, show and compare the configuration."""


def _files(target: Target) -> FileConfigurations:
    from obstack.edges.configfile import FileConfigurations

    return FileConfigurations(target.configuration)


def _loaded(examination: Examination) -> LoadedConfiguration:
    """Return what was read even when something in it is yet to be corrected: looking at it is how one finds out."""
    if examination.loaded is None:
        raise ConfigurationError(examination.problems, do="correct them, then look again")
    count = len(examination.problems)
    if count:
        note = f"note: {count} problem{'' if count == 1 else 's'}; observability config validate shows them"
        click.echo(note, err=True)
    return examination.loaded


@documented(
    "observability config init --domain mon-1.internal",
    "observability config init --force",
    group=command,
    name="init",
)
@click.option("--domain", metavar="NAME", help="Name under which people will reach it. [default: this machine's name]")
@click.option("--force", is_flag=True, help="Begin anew; the old file is kept beside the new one.")
@target_options(Scope.SERVER)
@json_option
def init_command(*, domain: str | None, force: bool, target: Target, as_json: bool) -> None:
    """Write a commented configuration, its schema and the administrator's password. Nothing is asked."""
    from obstack.edges.configfile import BeginningFolder
    from obstack.model.reference import host_schema, json_schema
    from obstack.operations.configuration import begin_configuration

    made = begin_configuration(
        BeginningFolder(target.configuration),
        file_secrets(target),
        domain=domain if domain is not None else machine_name(),
        server=_server_name(),
        schemas=(_schema(json_schema()), _schema(host_schema())),
        force=force,
    )
    if as_json:
        print_json(
            {"written": made.written, "kept": made.kept, "login": made.login, "password_file": made.password_file}
        )
        return
    for path in made.written:
        print_line(f"wrote {path}")
    if made.kept:
        print_line(f"kept  {made.kept}")
    print_line(f"login {made.login}, password in {made.password_file}")
    print_line()
    print_line("What next:")
    print_line(f"  1. read and edit   {made.written[-1]}")
    print_line(f"  2. check it        observability config validate{_again(target)}")
    print_line("  3. set up          ./scripts/setup-observability.sh")


@documented(
    "observability config validate",
    "observability config validate --environment staging --json",
    group=command,
    name="validate",
)
@target_options(Scope.FILES)
@json_option
def validate_command(*, target: Target, as_json: bool) -> None:
    """Check the configuration and its secrets. All problems are shown at once, each with its place and remedy.

    Without --environment every environment is checked too, as the base with its overlay.
    """
    from obstack.cli.composition import configurations, secrets_of
    from obstack.cli.door import judge_files
    from obstack.operations.configuration import examine_configuration, examine_everything

    files, secrets, judge = configurations(target), secrets_of(target), judge_files(target)
    if target.environment is None:
        examined = examine_everything(files, secrets, judge)
    else:
        examined = ((target.environment, examine_configuration(files, secrets, target.environment, judge)),)
    problems = [(environment, problem) for environment, found in examined for problem in found.problems]
    if as_json:
        read = dict.fromkeys(file for _, found in examined for file in found.sources.files)
        told = [vars(problem) | {"environment": environment} for environment, problem in problems]
        print_json({"valid": not problems, "files": list(read), "problems": told})
    elif not problems:
        for _, found in examined:
            print_line(f"{_files_read(found.sources.files)}: valid")
    else:
        for line in _told(problems):
            print_line(line)
    if problems:
        click.get_current_context().exit(ConfigurationError.exit_code)


def _schema(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _told(problems: list[tuple[str | None, Problem]]) -> Iterator[str]:
    """Yield each problem with a line before the first of each environment, and the count."""
    heading = None
    for environment, problem in problems:
        if environment != heading:
            heading = environment
            yield f"In the environment {environment}:"
        yield from problem_lines(problem, stream=sys.stdout)
    yield f"{len(problems)} problem{'' if len(problems) == 1 else 's'}; nothing was touched"


@documented(
    "observability config show",
    "observability config show --origin --environment staging",
    group=command,
    name="show",
)
@click.option("--origin", is_flag=True, help="Show which file and line each value came from.")
@target_options(Scope.FILES)
@json_option
def show_command(*, origin: bool, target: Target, as_json: bool) -> None:
    """Show the configuration in force: files merged, defaults filled in, secrets as references."""
    from obstack.operations.configuration import masked, rows

    loaded = _loaded(_files(target).examine(target.environment))
    if origin:
        found = rows(loaded)
        if as_json:
            print_json({"files": loaded.files, "values": [vars(row) for row in found]})
            return
        for line in table(
            [(row.path, _inline(row.value), row.origin) for row in found], header=("key", "value", "from")
        ):
            print_line(line)
        return
    document = masked(loaded.site.model_dump(mode="json", exclude_none=True))
    if not loaded.site.hosts:
        del document["hosts"]
    if as_json:
        print_json(document)
    else:
        click.echo(_yaml(document), nl=False)


@documented(
    "observability config schema > config/configuration.schema.json",
    group=command,
    name="schema",
)
def schema_command() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from obstack.model.reference import json_schema

    print_json(json_schema())


@documented(
    "observability config diff staging",
    "observability config diff old/global.yaml --json",
    group=command,
    name="diff",
)
@click.argument("other", metavar="ENVIRONMENT|FILE")
@target_options(Scope.FILES)
@json_option
def diff_command(*, other: str, target: Target, as_json: bool) -> None:
    """Compare with another environment, or with a file, by meaning: order, comments and defaults do not matter."""
    from obstack.operations.configuration import compare

    files = _files(target)
    ours = _loaded(files.examine(target.environment))
    is_file = "/" in other or Path(other).suffix in (".yaml", ".yml")
    theirs = _loaded(files.examine_file(Path(other)) if is_file else files.examine(other))
    changes = compare(ours.site, theirs.site)
    if as_json:
        print_json({"from": ours.files, "to": theirs.files, "changes": [vars(item) for item in changes]})
        return
    print_line(f"{_files_read(ours.files)}  ->  {_files_read(theirs.files)}")
    for item in changes:
        print_line(change_line(item.path, item.before, item.after))
    if not changes:
        print_line("no difference")


def _files_read(files: Sequence[str]) -> str:
    """Given the files of a configuration, return them on one line, those of the hosts as one."""
    hosts = [file for file in files if Path(file).parent.name == "hosts"]
    shown = [file for file in files if file not in set(hosts)]
    if hosts:
        shown.append(f"{Path(hosts[0]).parent}/*.yaml ({len(hosts)} host{'' if len(hosts) == 1 else 's'})")
    return " + ".join(shown)


def change_line(path: str, before: Any, after: Any) -> str:
    """Given what differs, return its line: + for what is new, - for what is gone, ~ for what changed."""
    if before is None:
        return paint(f"+ {path}: {sanitize(_inline(after))}", "green")
    if after is None:
        return paint(f"- {path}: {sanitize(_inline(before))}", "red")
    return paint(f"~ {path}: {sanitize(_inline(before))} -> {sanitize(_inline(after))}", "yellow")


def machine_name() -> str:
    """Return this machine's name when it can stand in a URL, else localhost."""
    from obstack.model.scalars import HOST_NAME_PATTERN

    name = platform.node().lower()
    return name if re.fullmatch(HOST_NAME_PATTERN, name) else "localhost"


def _server_name() -> str:
    from obstack.model.scalars import NAME_PATTERN

    name = platform.node().lower().partition(".")[0]
    return name if re.fullmatch(NAME_PATTERN, name) else "mon-1"


def _again(target: Target) -> str:
    return "" if str(target.configuration) == "config" else f" --config {target.configuration}"


def _inline(value: Any) -> str:
    from obstack.model.example import inline

    return inline(value)


def _yaml(document: Any) -> str:
    import io

    from ruamel.yaml import YAML

    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.dump(document, stream)
    return stream.getvalue()
