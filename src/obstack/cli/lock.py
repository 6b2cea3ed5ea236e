"""`observability lock`: settle which archives are deployed, by digest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import click

from obstack.catalog.components import ARCHITECTURES, COMPONENTS
from obstack.cli import completing
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import print_json, print_line, table
from obstack.errors import UsageError
from obstack.model.words import nearest

if TYPE_CHECKING:
    from obstack.catalog.artifact import Artifact


@documented(
    "observability lock",
    "observability lock --update prometheus --update nginx",
    "observability lock --update-all",
    "observability lock --verify",
)
@click.option(
    "--update",
    multiple=True,
    metavar="COMPONENT",
    shell_complete=completing.components,
    help="Take the newest version that the configuration allows of COMPONENT, a component of the server or an "
    "artifact of hosts. May be repeated.",
)
@click.option("--update-all", is_flag=True, help="Update every component.")
@click.option("--verify", is_flag=True, help="Read every locked archive in the cache; damaged ones are fetched again.")
@click.option("--architecture", type=click.Choice(ARCHITECTURES), help="That of the server. [default: this machine's]")
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

    What is locked already stays as it is unless it is updated or the configuration asks for something else. What hosts
    need is locked for each of their suites and architectures.
    """
    from obstack.cli.composition import configurations, load_modules
    from obstack.cli.progress import reporter
    from obstack.cli.provision import host_platform
    from obstack.cli.supply import make_supply
    from obstack.edges.debian.apt import own_architecture
    from obstack.edges.lock_file import LockFile
    from obstack.operations.desired import platform_components
    from obstack.operations.lock import ensure, resolve, resolve_hosts

    site = configurations(target).load(target.environment).site
    file = LockFile(target.configuration)
    before = file.read()
    chosen = architecture or own_architecture()
    with reporter(quiet=quiet) as shown:
        supply = make_supply(target, site, shown, fresh=bool(update or update_all))
        modules = load_modules(target, site) if site.hosts else {}
        platforms = {name: host_platform(host, supply) for name, host in site.hosts.items()}
        wanted = platform_components(site, modules, platforms)
        known = {*COMPONENTS, *(name for components in wanted.values() for name in components)}
        _demand_known(update, known)
        updated = tuple(known) if update_all else update
        lock = resolve(site, chosen, supply, lock=before, update=updated)
        lock = resolve_hosts(site, wanted, supply, lock=lock, update=updated)
        tables = {chosen: (lock.artifacts(chosen), before.artifacts(chosen))}
        for platform, components in wanted.items():
            locked = {name: lock.host_artifacts(platform)[name] for name in components}
            tables[platform.key] = (locked, before.host_artifacts(platform))
        ensure([item for artifacts, _ in tables.values() for item in artifacts.values()], supply, verify=verify)
    changed = file.write(lock)
    rows = {key: _rows(*pair) for key, pair in tables.items()}
    if as_json:
        hosts = {key: found for key, found in rows.items() if key != chosen}
        document = {"file": str(file.path), "architecture": chosen, "changed": changed, "artifacts": rows[chosen]}
        print_json(document | ({"hosts": hosts} if hosts else {}))
        return
    print_line(f"{file.path} {'was written' if changed else 'stays as it is'}, for {chosen}:")
    for key, found in rows.items():
        if key != chosen:
            print_line(f"for hosts of {key}:")
        for line in table([_row(row) for row in found]):
            print_line(f"  {line}")


def _demand_known(update: Collection[str], known: Collection[str]) -> None:
    for name in update:
        if name not in known:
            raise UsageError(
                code="component-unknown",
                what=f"Nothing that is deployed is called {name!r}.",
                where=f"--update {name}; {nearest(name, sorted(known))}there are: {', '.join(sorted(known))}",
                state="nothing was touched",
                do="observability lock    shows what is locked",
            )


def _rows(artifacts: Mapping[str, Artifact], before: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    return [
        {
            "component": name,
            "version": artifact.version,
            "before": before[name].version if name in before else None,
            "source": artifact.source,
            "suite": artifact.suite,
            "archives": len(artifact.archives),
            "size": sum(archive.entry.size for archive in artifact.archives),
        }
        for name, artifact in sorted(artifacts.items())
    ]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    place = f"{row['source']} {row['suite'] or ''}".rstrip()
    note = f"was {row['before']}" if row["before"] not in (None, row["version"]) else ""
    return (row["component"], row["version"], place, f"{row['size'] / 1e6:.1f} MB", note)
