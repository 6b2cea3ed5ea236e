"""Has the archives of all nodes at hand: what the lock names, from the one cache of this machine.

Hosts need no way to the internet: what they run is pushed to them from here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from obstack.catalog.artifact import Artifact
from obstack.catalog.components import Component
from obstack.catalog.lock import Lock, Platform
from obstack.catalog.modules import ModuleSet
from obstack.cli.options import Target
from obstack.cli.supply import make_supply
from obstack.edges.debian.apt import own_architecture
from obstack.edges.lock_file import LockFile
from obstack.model.components import ArtifactChoice, Source
from obstack.model.host import Host
from obstack.model.site import Site
from obstack.operations.desired import Provision, components_of, platform_components
from obstack.operations.lock import Supply, ensure, resolve, resolve_hosts
from obstack.ports import Reporter


def provide(target: Target, site: Site, reporter: Reporter, *, fetch: bool = True) -> Provision:
    """Given a site, return the server's locked artifacts with their files; what is not locked yet is locked.

    With `fetch` false nothing is downloaded but package indexes, and there are no files.
    """
    return provide_nodes(target, site, {}, (site.server.name,), reporter, fetch=fetch)[site.server.name]


def provide_nodes(
    target: Target, site: Site, modules: ModuleSet, nodes: Collection[str], reporter: Reporter, *, fetch: bool = True
) -> dict[str, Provision]:
    """Given a site, all modules and names of nodes, return for each node its locked artifacts with their files.

    Hosts of one platform share one answer. `fetch` is as for `provide`.
    """
    supply = make_supply(target, site, reporter)
    components = components_of(target.layout, site) if site.server.name in nodes else ()
    platforms = {name: host_platform(site.hosts[name], supply) for name in nodes if name != site.server.name}
    wanted = platform_components(site, modules, platforms)
    lock = _locked(target, site, supply, components, wanted)

    def provision(artifacts: Mapping[str, Artifact], names: Collection[str]) -> Provision:
        chosen = {name: artifacts[name] for name in names}
        return Provision(chosen, ensure(tuple(chosen.values()), supply) if fetch else {})

    shared = {platform: provision(lock.host_artifacts(platform), names) for platform, names in wanted.items()}
    found = {name: shared[platform] for name, platform in platforms.items()}
    if components:
        found[site.server.name] = provision(lock.artifacts(own_architecture()), components)
    return found


def host_platform(host: Host, supply: Supply) -> Platform:
    """Given a host, return its platform: what its file leaves out is as on this machine."""
    suite = host.suite or supply.sources[Source.DEBIAN].settle(ArtifactChoice()).suite or ""
    return Platform(suite, host.architecture or own_architecture())


def _locked(
    target: Target,
    site: Site,
    supply: Supply,
    components: Collection[str],
    wanted: Mapping[Platform, Mapping[str, Component]],
) -> Lock:
    """Return the lock in which all components are; it is written when it was not that before."""
    file = LockFile(target.configuration)
    lock = before = file.read()
    if components:
        lock = resolve(site, own_architecture(), supply, lock=lock, components=components)
    lock = resolve_hosts(site, wanted, supply, lock=lock)
    if lock != before:
        file.write(lock)
    return lock
