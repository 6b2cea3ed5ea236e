"""`observability lock`: settle which archives are deployed, by digest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from obstack.catalog.components import ARCHITECTURES
from obstack.cli import completing
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options
from obstack.cli.output import paint, print_json, print_line, table
from obstack.errors import UsageError
from obstack.model.words import nearest

if TYPE_CHECKING:
    from obstack.catalog.artifact import Artifact
    from obstack.catalog.components import Component
    from obstack.catalog.lock import Lock, Platform
    from obstack.model.site import Site
    from obstack.operations.currency import Currency
    from obstack.operations.lock import Supply
    from obstack.ports import Reporter


@dataclass(frozen=True)
class Question:
    """What is locked: the site, what its hosts need by platform, and the sources."""

    site: Site
    wanted: Mapping[Platform, Mapping[str, Component]]
    supply: Supply

    @property
    def known(self) -> set[str]:
        """The names of everything that is locked for this site."""
        from obstack.operations.lock import lockable

        return {*lockable(self.site), *(name for components in self.wanted.values() for name in components)}


@dataclass
class Locked:
    """What came of it: the lock, the artifacts by place, now and before, and why some places were left out."""

    lock: Lock
    tables: dict[str, tuple[Mapping[str, Artifact], Mapping[str, Artifact]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@documented(
    "observability lock",
    "observability lock --update prometheus --update nginx",
    "observability lock --update-all",
    "observability lock --check",
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
@click.option("--check", is_flag=True, help="Only look whether the lock is current; exit 1 when it is not.")
@click.option(
    "--architecture",
    "architectures",
    type=click.Choice(ARCHITECTURES),
    multiple=True,
    help="Only this architecture of the server. May be repeated. [default: all]",
)
@target_options(Scope.FILES)
@json_option
@quiet_option
def command(
    *,
    update: tuple[str, ...],
    update_all: bool,
    verify: bool,
    check: bool,
    architectures: tuple[str, ...],
    target: Target,
    as_json: bool,
    quiet: bool,
) -> int:
    """Resolve the components' versions and write them with their SHA-256 into artifacts.lock.json.

    What is locked already stays as it is unless it is updated or the configuration asks for something else. What the
    server needs is locked for both architectures, what hosts need for each of their suites and architectures.
    """
    from obstack.cli.progress import reporter
    from obstack.edges.lock_file import LockFile

    if check and (update or update_all or verify):
        raise _check_alone()
    file = LockFile(target.configuration)
    before = file.read()
    with reporter(quiet=quiet) as shown:
        question = _question(target, shown, fresh=bool(update or update_all or check))
        if check:
            return _check(question, before, architectures, as_json=as_json)
        _demand_known(update, question.known)
        locked = _lock(question, before, architectures, tuple(question.known) if update_all else update, verify=verify)
    changed = file.write(locked.lock)
    rows = {place: _rows(*pair) for place, pair in locked.tables.items()}
    if as_json:
        servers = {place: found for place, found in rows.items() if place in ARCHITECTURES}
        hosts = {place: found for place, found in rows.items() if place not in servers}
        print_json(
            {"file": str(file.path), "changed": changed, "architectures": servers, "left_out": locked.left_out}
            | ({"hosts": hosts} if hosts else {})
        )
        return 0
    print_line(f"{file.path} {'was written' if changed else 'stays as it is'}")
    for place, found in rows.items():
        print_line(f"for {'the server' if place in ARCHITECTURES else 'hosts'} of {place}:")
        for line in table([_row(row) for row in found]):
            print_line(f"  {line}")
    for place, why in locked.left_out.items():
        print_line(paint(f"not for {place}: {why}", "yellow"))
    return 0


def _question(target: Target, shown: Reporter, *, fresh: bool) -> Question:
    from obstack.cli.composition import configurations, load_modules
    from obstack.cli.provision import host_platform
    from obstack.cli.supply import make_supply
    from obstack.operations.desired import platform_components

    site = configurations(target).load(target.environment).site
    supply = make_supply(target, site, shown, fresh=fresh)
    modules = load_modules(target, site) if site.hosts else {}
    platforms = {name: host_platform(host, supply) for name, host in site.hosts.items()}
    return Question(site, platform_components(site, modules, platforms), supply)


def _lock(
    question: Question, before: Lock, architectures: Collection[str], update: Collection[str], *, verify: bool
) -> Locked:
    from obstack.edges.debian.apt import own_architecture
    from obstack.operations.lock import ensure, resolve_architectures, resolve_hosts

    site, supply = question.site, question.supply
    needed = architectures or (own_architecture(),)
    places = tuple(dict.fromkeys((*needed, *(() if architectures else ARCHITECTURES))))
    lock, left_out = resolve_architectures(site, places, supply, lock=before, needed=needed, update=update)
    lock = resolve_hosts(site, question.wanted, supply, lock=lock, update=update)
    locked = Locked(lock, left_out=left_out)
    for architecture in places:
        if architecture not in left_out:
            locked.tables[architecture] = (lock.artifacts(architecture), before.artifacts(architecture))
    for platform, components in question.wanted.items():
        chosen = {name: lock.host_artifacts(platform)[name] for name in components}
        locked.tables[platform.key] = (chosen, before.host_artifacts(platform))
    # The archives of another architecture are no use here: they are only read when all are to be.
    kept = [now for place, (now, _) in locked.tables.items() if verify or place in needed or place not in ARCHITECTURES]
    ensure([item for now in kept for item in now.values()], supply, verify=verify)
    return locked


def _check(question: Question, lock: Lock, architectures: Collection[str], *, as_json: bool) -> int:
    from obstack.agent.wire import encode
    from obstack.edges.debian.apt import own_architecture
    from obstack.operations.currency import CURRENT, find_currency

    places = architectures or sorted({own_architecture(), *lock.architectures})
    found = find_currency(question.site, places, question.wanted, question.supply, lock)
    stale = [item for item in found if item.standing != CURRENT]
    if as_json:
        print_json({"current": not stale, "artifacts": [encode(item) for item in found]})
    else:
        for line in _currency_lines(stale):
            print_line(line)
        print_line(
            f"{len(stale)} of {len(found)} are not current; observability lock --update-all takes what is newer"
            if stale
            else f"all {len(found)} are current"
        )
    return 1 if stale else 0


def _currency_lines(stale: Iterable[Currency]) -> list[str]:
    rows = [(item.place, item.component, item.locked or "-", item.newest, item.standing) for item in stale]
    return table(rows, header=("FOR", "ARTIFACT", "LOCKED", "NEWEST", "STANDING")) if rows else []


def _check_alone() -> UsageError:
    return UsageError(
        code="usage",
        what="--check changes nothing, so that --update, --update-all and --verify exclude it.",
        where="the command line of `observability lock`",
        state="nothing was touched",
        do="observability lock --check",
    )


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
