"""`observability host add`."""

from __future__ import annotations

from typing import Any

import click

from obstack.cli.host.common import host_files
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import print_json, print_line


@documented(
    "observability host add web-1 --address 192.0.2.10 --group web --module nginx",
    "observability host add db-1 --address db-1.example.org --ssh admin@db-1.example.org --ssh-port 2222",
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
@click.option("--suite", metavar="NAME", help="Its Debian suite. [default: the server's own]")
@click.option("--architecture", type=click.Choice(["amd64", "arm64"]), help="[default: the server's own]")
@target_options(Scope.FILES)
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
    suite: str | None,
    architecture: str | None,
    target: Target,
    as_json: bool,
) -> None:
    """Write a new host's file, config/hosts/NAME.yaml. Nothing is written unless the whole site is valid with it.

    The host itself is not touched: that does `observability apply`.
    """
    reach = _present(destination=ssh, port=ssh_port, identity=identity)
    if no_ssh and reach:
        raise click.UsageError("--no-ssh goes with none of --ssh, --ssh-port and --identity.")
    values: dict[str, Any] = {"address": address}
    if no_ssh or reach:
        values["ssh"] = reach or None
    values |= _present(suite=suite, architecture=architecture, groups=list(dict.fromkeys(groups)))
    values |= _present(modules={module: {} for module in modules})
    place = host_files(target).add(name, values)
    if as_json:
        print_json({"host": name, "file": place})
        return
    print_line(f"wrote {place}")
    print_line()
    print_line("What next:")
    steps = [("set it up", f"observability host bundle {name}")]
    if not no_ssh:
        steps = [
            ("is it ready?", f"observability host check {name}"),
            ("what is on it?", f"observability host detect {name} --write"),
            ("set it up", f"observability apply --host {name}"),
        ]
    for number, (step, typed) in enumerate(steps, 1):
        print_line(f"  {number}. {step:<15}  {typed}")


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}
