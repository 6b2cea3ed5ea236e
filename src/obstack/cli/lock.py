"""`observability lock`: settle which archives are deployed, by digest."""

from __future__ import annotations

from typing import Any

import click

from obstack.catalog.components import ARCHITECTURES, COMPONENTS
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line, table


@documented(
    "observability lock",
    "observability lock --update prometheus --update nginx",
    "observability lock --update-all",
    "observability lock --verify",
)
@click.option(
    "--update",
    multiple=True,
    type=click.Choice(sorted(COMPONENTS)),
    metavar="COMPONENT",
    help="Take the newest version that the configuration allows of COMPONENT. May be repeated.",
)
@click.option("--update-all", is_flag=True, help="Update every component.")
@click.option("--verify", is_flag=True, help="Read every locked archive in the cache; damaged ones are fetched again.")
@click.option("--architecture", type=click.Choice(ARCHITECTURES), help="[default: this machine's]")
@target_options(Scope.FILES)
@json_option
@quiet_option
def command(
    *,
    update: tuple[str, ...],
    update_all: bool,
    verify: bool,
    architecture: str | None,
    target: Target,
    as_json: bool,
    quiet: bool,
) -> None:
    """Resolve the components' versions and write them with their SHA-256 into artifacts.lock.json.

    What is locked already stays as it is unless it is updated or the configuration asks for something else.
    """
    from obstack.cli.progress import reporter
    from obstack.cli.supply import make_supply
    from obstack.edges.configfile import FileConfigurations
    from obstack.edges.debian.apt import own_architecture
    from obstack.edges.lock_file import LockFile
    from obstack.operations.lock import ensure, resolve

    site = FileConfigurations(target.configuration).load(target.environment).site
    file = LockFile(target.configuration)
    before = file.read()
    chosen = architecture or own_architecture()
    updated = tuple(COMPONENTS) if update_all else update
    with reporter(quiet=quiet) as shown:
        supply = make_supply(target, site, shown, fresh=bool(updated))
        lock = resolve(site, chosen, supply, lock=before, update=updated)
        artifacts = lock.artifacts(chosen)
        ensure(tuple(artifacts.values()), supply, verify=verify)
    changed = file.write(lock)
    rows: list[dict[str, Any]] = [
        {
            "component": name,
            "version": artifact.version,
            "before": before.artifacts(chosen)[name].version if name in before.artifacts(chosen) else None,
            "source": artifact.source,
            "suite": artifact.suite,
            "archives": len(artifact.archives),
            "size": sum(archive.entry.size for archive in artifact.archives),
        }
        for name, artifact in sorted(artifacts.items())
    ]
    if as_json:
        print_json({"file": str(file.path), "architecture": chosen, "changed": changed, "artifacts": rows})
        return
    print_line(f"{file.path} {'was written' if changed else 'stays as it is'}, for {chosen}:")
    for line in table([_row(row) for row in rows]):
        print_line(f"  {line}")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    place = f"{row['source']} {row['suite'] or ''}".rstrip()
    note = f"was {row['before']}" if row["before"] not in (None, row["version"]) else ""
    return (row["component"], row["version"], place, f"{row['size'] / 1e6:.1f} MB", note)
