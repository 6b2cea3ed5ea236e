"""`observability host show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from obstack.agent.wire import encode
from obstack.cli import completing
from obstack.cli.composition import load_modules
from obstack.cli.host.common import read_configuration
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import paint, print_json, print_line, table
from obstack.model.example import inline

if TYPE_CHECKING:
    from obstack.operations.hosts import HostView


@documented("observability host show web-1", "observability host show web-1 --json")
@click.argument("name", shell_complete=completing.hosts)
@target_options(Scope.FILES)
@json_option
def command(*, name: str, target: Target, as_json: bool) -> None:
    """Show a host: every value in force and where it comes from, and its modules with their options."""
    from obstack.operations.hosts import show_host

    loaded = read_configuration(target)
    view = show_host(loaded, load_modules(target, loaded.site), name)
    if as_json:
        print_json(encode(view))
        return
    for line in _lines(view):
        print_line(line)


def _lines(view: HostView) -> Iterator[str]:
    yield paint(view.name, bold=True) + f", reached by {view.reached or 'bundle'}"
    yield ""
    rows = [(row.path, inline(row.value), row.origin) for row in view.values]
    yield from table(rows, header=("key", "value", "from"))
    if view.labels:
        yield ""
        yield f"labels of its series: {', '.join(f'{key}={inline(value)}' for key, value in view.labels.items())}"
    for module in view.modules:
        port = f", port {module.port}" if module.port else ""
        yield ""
        yield paint(module.name, bold=True) + f": {module.title}{port}, every {module.interval}"
        options = [(row.option, inline(row.value), row.origin) for row in module.options]
        yield from (f"  {line}" for line in table(options, margin=2))
