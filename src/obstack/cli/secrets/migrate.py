"""`observability secrets migrate`."""

from __future__ import annotations

from typing import Any

from obstack.cli.composition import configurations, load_modules, site_secrets
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.edges.configfile.plaintext import ConfigurationText
from obstack.errors import ConfigurationError
from obstack.model.words import spell
from obstack.operations.migration import Migration, migrate, secret_paths
from obstack.ports import Leftover


@documented("observability secrets migrate", "observability secrets migrate --json")
@target_options(Scope.FILES)
@json_option
def command(*, target: Target, as_json: bool) -> int:
    """Move secrets that stand in configuration files as plain text to where secrets are kept.

    A reference takes the place of each, and every other character stays. The copies of files that this program keeps
    aside are cleaned as well. Exit 1 when a value is to be seen somewhere still: in a comment, in an editor's backup.
    Git's history keeps what was ever committed: such values are to be rotated.
    """
    examination = configurations(target).examine()
    if examination.legible is None:
        raise ConfigurationError(examination.problems, do="correct them, then try again")
    site = examination.legible.site
    store = site_secrets(target, site)
    store.provider.demand_writable("of the configuration")
    store.provider.begin()
    modules = load_modules(target, site) if site.hosts or site.fleet.groups else {}
    files = ConfigurationText(target.configuration, store.folder.path)
    done = migrate(files, store, secret_paths(modules))
    if as_json:
        print_json(_document(done))
    else:
        for line in _lines(done):
            print_line(line)
    return 1 if done.left else 0


def _document(done: Migration) -> dict[str, Any]:
    return {
        "moved": [
            {
                "file": move.found.file,
                "line": move.found.line,
                "setting": spell(move.found.path),
                "reference": f"secret:{move.name}",
            }
            for move in done.moves
        ],
        "left": [{"file": item.file, "line": item.line, "name": item.name} for item in done.left],
        "in_git": list(done.in_git),
    }


def _lines(done: Migration) -> list[str]:
    if not done.moves:
        return ["no secret stands in the configuration as plain text"]
    names = " ".join(dict.fromkeys(move.name for move in done.moves))
    lines = [
        f"{move.found.file}:{move.found.line}: {spell(move.found.path)} is now secret:{move.name}"
        for move in done.moves
    ]
    lines += [f"{_place(item)}: the value of {item.name} is to be seen still; take it out there" for item in done.left]
    if done.in_git:
        lines.append(f"git's history keeps the values of {', '.join(done.in_git)}")
    return [*lines, f"give new values, for the old ones were plain text: observability secrets rotate {names}"]


def _place(item: Leftover) -> str:
    return f"{item.file}:{item.line}" if item.line else item.file
