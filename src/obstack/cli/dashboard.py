"""`observability dashboard list|show|export|drift|pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from obstack.cli.completing import dashboards as complete_dashboards
from obstack.cli.lazy import OverviewGroup, documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstack.model.dashboard import Dashboard

DEFAULT_INTERVAL = "15s"
"""How often is scraped where there is no configuration that says it."""


@click.group(cls=OverviewGroup)
def command() -> None:
    """List, show and export dashboards, and take what was changed of them in Grafana."""


def _known(target: Target) -> tuple[Mapping[str, Dashboard], str]:
    """Return all dashboards, and the longest interval of a scrape."""
    from obstack.catalog.modules import module_findings
    from obstack.cli.composition import load_modules, module_cache
    from obstack.content.dashboards import dashboards
    from obstack.edges import modulefile
    from obstack.edges.configfile import FileConfigurations
    from obstack.render.targets import longest_interval

    legible = FileConfigurations(target.configuration).examine(target.environment).legible
    if legible is None or legible.site is None:
        return dashboards(modulefile.load_modules(cache=module_cache(target))), DEFAULT_INTERVAL
    modules = load_modules(target, legible.site)
    faulty = bool(module_findings(legible.site, modules))
    return dashboards(modules), DEFAULT_INTERVAL if faulty else longest_interval(legible.site, modules)


@documented("observability dashboard list", "observability dashboard list --json", group=command, name="list")
@target_options(Scope.FILES)
@json_option
def list_command(*, target: Target, as_json: bool) -> None:
    """List all dashboards: those of the stack itself, and one of each module."""
    known, _interval = _known(target)
    if as_json:
        print_json([{"name": name, "title": board.title, "panels": len(board.panels)} for name, board in known.items()])
        return
    rows = [(name, board.title, str(len(board.panels))) for name, board in known.items()]
    for line in table(rows, header=("NAME", "TITLE", "PANELS")):
        print_line(line)


@documented(
    "observability dashboard show fleet", "observability dashboard show nginx --json", group=command, name="show"
)
@click.argument("name", shell_complete=complete_dashboards)
@target_options(Scope.FILES)
@json_option
def show_command(*, name: str, target: Target, as_json: bool) -> None:
    """Show the panels of a dashboard, with what to read from them and what they ask Prometheus for."""
    from obstack.operations.dashboards import need_dashboards

    known, _interval = _known(target)
    (board,) = need_dashboards(known, [name]).values()
    if as_json:
        print_json(board.model_dump(mode="json", exclude_none=True))
        return
    print_line(board.title)
    for panel in board.panels:
        print_line("")
        print_line(f"{panel.title} ({panel.kind}, {panel.unit})")
        print_line(f"  {panel.description}")
        print_line(f"  {panel.expr}")


@documented(
    "observability dashboard export ./dashboards",
    "observability dashboard export ./dashboards fleet nginx",
    group=command,
    name="export",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_dashboards)
@target_options(Scope.FILES)
@json_option
def export_command(*, folder: Path, names: tuple[str, ...], target: Target, as_json: bool) -> None:
    """Write dashboards, by default all, as NAME.json into FOLDER, in the form that Grafana imports and provisions."""
    from obstack.edges.dashboard_files import write_dashboards
    from obstack.operations.dashboards import need_dashboards
    from obstack.render.grafana_dashboard import grafana_dashboard

    known, interval = _known(target)
    chosen = need_dashboards(known, names or list(known))
    written = write_dashboards(
        folder, {name: grafana_dashboard(name, board, interval) for name, board in chosen.items()}
    )
    if as_json:
        print_json(list(written))
        return
    for path in written:
        print_line(path)


@documented("observability dashboard drift", "observability dashboard drift --json", group=command, name="drift")
@target_options()
@quiet_option
@json_option
def drift_command(*, target: Target, quiet: bool, as_json: bool) -> int:
    """Show which dashboards somebody changed in Grafana; exit 1 when there is one.

    Such a change stays in Grafana until the dashboard itself changes here. `dashboard pull` makes it a file of the
    site's own.
    """
    from obstack.cli.composition import open_channel
    from obstack.cli.progress import reporter
    from obstack.operations.dashboards import boards, changed_boards

    with reporter(quiet=quiet) as progress:
        found = boards(open_channel(target), progress)
    changed = changed_boards(found, ())
    if as_json:
        print_json([{"name": board.name, "title": board.title, "changed": board in changed} for board in found])
    elif changed:
        for line in table([(board.name, board.title) for board in changed], header=("NAME", "TITLE")):
            print_line(line)
        print_line("What next: observability dashboard pull    makes these changes files of the site's own")
    else:
        print_line(f"{len(found)} dashboards, none changed in Grafana")
    return 1 if changed else 0


@documented("observability dashboard pull", "observability dashboard pull fleet nginx", group=command, name="pull")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_dashboards)
@target_options()
@quiet_option
@json_option
def pull_command(*, names: tuple[str, ...], target: Target, quiet: bool, as_json: bool) -> None:
    """Write dashboards as they were changed in Grafana into the configuration's folder `dashboards`, by default all.

    From then on `apply` deploys these files in place of what this program draws. Remove one to have ours again.
    """
    from obstack.cli.composition import open_channel
    from obstack.cli.progress import reporter
    from obstack.edges.dashboard_files import FOLDER, write_dashboards
    from obstack.operations.dashboards import boards, changed_boards

    with reporter(quiet=quiet) as progress:
        changed = changed_boards(boards(open_channel(target), progress), names)
    documents = {board.name: board.document for board in changed if board.document is not None}
    written = write_dashboards(target.configuration / FOLDER, documents) if documents else ()
    if as_json:
        print_json(list(written))
        return
    for path in written:
        print_line(path)
    print_line("What next: observability plan" if written else "Nothing was changed in Grafana.")
