"""`observability host add`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from obstack.cli.host.common import host_files
from obstack.cli.host.looking import detection_document, detection_lines, look_at_host
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.errors import StackError

if TYPE_CHECKING:
    from obstack.operations.detect import Detection


@documented(
    "observability host add web-1 --address 192.0.2.10 --group web --module nginx",
    "observability host add db-1 --address db-1.example.org --ssh admin@db-1.example.org --ssh-port 2222 --detect",
    "observability host add far-1 --address 192.0.2.99 --no-ssh",
)
@click.argument("name")
@click.option("--address", metavar="ADDRESS", required=True, help="Where the server scrapes it: a name or an address.")
@click.option("--ssh", metavar="[USER@]HOST", help="Where ssh goes. [default: root at the address]")
@click.option("--ssh-port", type=click.IntRange(1, 65535), metavar="PORT", help="Port of sshd. [default: ssh decides]")
@click.option("--identity", metavar="FILE", help="File of the private key. [default: ssh decides]")
@click.option("--no-ssh", is_flag=True, help="It is never reached from here: it is served by bundles.")
@click.option("--group", "groups", metavar="NAME", multiple=True, help="Group that it belongs to. May be repeated.")
@click.option("--module", "modules", metavar="NAME", multiple=True, help="Module that runs on it. May be repeated.")
@click.option("--detect", is_flag=True, help="Look at the host, and add to its file what was found there.")
@click.option("--suite", metavar="NAME", help="Its Debian suite. [default: the server's own]")
@click.option("--architecture", type=click.Choice(["amd64", "arm64"]), help="[default: the server's own]")
@target_options(Scope.FILES)
@quiet_option
@json_option
def command(
    *,
    name: str,
    address: str,
    ssh: str | None,
    ssh_port: int | None,
    identity: str | None,
    no_ssh: bool,
    groups: tuple[str, ...],
    modules: tuple[str, ...],
    detect: bool,
    suite: str | None,
    architecture: str | None,
    target: Target,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write a new host's file, config/hosts/NAME.yaml. Nothing is written unless the whole site is valid with it.

    The host itself is not touched: that does `observability apply`.
    """
    reach = _present(destination=ssh, port=ssh_port, identity=identity)
    if no_ssh and (reach or detect):
        raise click.UsageError("--no-ssh goes with none of --ssh, --ssh-port, --identity and --detect.")
    values: dict[str, Any] = {"address": address}
    if no_ssh or reach:
        values["ssh"] = reach or None
    values |= _present(suite=suite, architecture=architecture, groups=list(dict.fromkeys(groups)))
    values |= _present(modules={module: {} for module in modules})
    place = host_files(target).add(name, values)
    found = _look(target, name, place, quiet=quiet) if detect else None
    if as_json:
        print_json({"host": name, "file": place} | ({} if found is None else detection_document(found)))
        return
    for line in detection_lines(found, name) if found is not None else ():
        print_line(line)
    print_line(f"wrote {place}")
    print_line()
    print_line("What next:")
    for number, (step, typed) in enumerate(_steps(name, reached=not no_ssh, detected=detect), 1):
        print_line(f"  {number}. {step:<15}  {typed}")


def _look(target: Target, name: str, place: str, *, quiet: bool) -> Detection:
    try:
        with reporter(quiet=quiet) as progress:
            return look_at_host(target, name, progress, write=True)[0]
    except StackError as error:
        error.state = f"{place} is written as it was asked for; nothing that was detected is in it"
        raise


def _steps(name: str, *, reached: bool, detected: bool) -> Iterator[tuple[str, str]]:
    if not reached:
        yield "set it up", f"observability host bundle {name}"
        return
    yield "is it ready?", f"observability host check {name}"
    if not detected:
        yield "what is on it?", f"observability host detect {name} --write"
    yield "set it up", f"observability apply --host {name}"


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}
