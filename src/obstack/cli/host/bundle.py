"""`observability host bundle`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import click

from obstack.cli.composition import build_nodes, load_site
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.supply import cache_folder
from obstack.operations.hosts import find_host

STANDARD_OUTPUT = "-"


@documented(
    "observability host bundle web-1 -o web-1.bundle",
    "observability host bundle far-1 -o - | ssh jump.example.org 'umask 077; cat > far-1.bundle'",
)
@click.argument("name")
@click.option(
    "-o",
    "output",
    metavar="FILE",
    help="The file to write; - is standard output. [default: NAME.bundle, in this folder]",
)
@target_options(Scope.FILES)
@quiet_option
@json_option
def command(*, name: str, output: str | None, target: Target, quiet: bool, as_json: bool) -> None:
    """Write all that makes a host what the configuration says into one file: agent, generation and archives.

    The file is carried to a host that has no network or no SSH and run there: sudo python3 FILE apply. It holds the
    host's private key, so only its owner may read it. It is known by the SHA-256 that is shown.
    """
    from obstack.edges import bundle
    from obstack.edges.agent_archive import packed_agent

    if output == STANDARD_OUTPUT and as_json:
        raise click.UsageError("-o - and --json would both write to standard output.")
    with reporter(quiet=quiet) as progress:
        progress.step("Reading the configuration")
        site = load_site(target)
        find_host(site, name)
        desired = build_nodes(target, site, (name,), progress)[name]
        progress.step("Packing")
        content = bundle.pack(desired.manifest, desired.contents, packed_agent(cache_folder(target) / "agent"))
    digest = hashlib.sha256(content).hexdigest()
    if output == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
        click.echo(f"SHA-256 {digest}", err=True)
        return
    path = Path(output or f"{name}.bundle")
    bundle.write(content, path)
    if as_json:
        generation = desired.manifest.identity
        print_json({"host": name, "file": str(path), "sha256": digest, "bytes": len(content), "generation": generation})
        return
    print_line(f"wrote {path}: generation {desired.manifest.identity[:12]} of {name}, {len(content) / 1e6:.1f} MB")
    print_line(f"SHA-256 {digest}")
    print_line()
    print_line("On the host, with nothing but the file, which holds the host's key and is for root only:")
    print_line(f"  python3 {path.name} verify       is it whole, and the one with this SHA-256?")
    print_line(f"  sudo python3 {path.name} show    what it would change")
    print_line(f"  sudo python3 {path.name} apply   the change; a red gate undoes it")
