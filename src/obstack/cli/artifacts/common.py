"""What the commands about artifacts share: which nodes they are about, and what those are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstack.catalog.parts import Deployed
from obstack.cli.composition import configurations, load_modules
from obstack.cli.options import Target
from obstack.cli.provision import provide_nodes
from obstack.edges.debian.contents import describe
from obstack.operations.deployed import Deployment, gather
from obstack.plan.fleet import select_nodes
from obstack.ports import Reporter

if TYPE_CHECKING:
    from obstack.catalog.modules import ModuleSet
    from obstack.model.site import Site


@dataclass(frozen=True)
class Given:
    """What the nodes that were chosen are given, by the configuration and the lock file."""

    site: Site
    modules: ModuleSet
    deployments: tuple[Deployment, ...]

    @property
    def licences(self) -> Mapping[str, str]:
        """Return the licences of all releases by component."""
        from obstack.catalog.components import COMPONENTS

        releases = {name: component.release for name, component in COMPONENTS.items()}
        found = {name: release.licence for name, release in releases.items() if release}
        for shipped in self.modules.values():
            artifact = shipped.module.artifact
            if artifact and artifact.release:
                found.setdefault(artifact.name, artifact.release.licence)
        return found

    def gather(self, reporter: Reporter) -> tuple[Deployed, ...]:
        """Return every artifact once with its parts, read from the archives. Raises ChangeFailed."""
        return gather(self.deployments, describe, self.licences, reporter.progress)


def find_given(
    target: Target, hosts: tuple[str, ...], limits: tuple[str, ...], reporter: Reporter, *, fetch: bool = True
) -> Given:
    """Given what `--host` and `--limit` say, return what those nodes are given, those by bundle included.

    With `fetch` the archives are at hand. What is not locked yet is locked, as by `observability lock`.
    """
    site = configurations(target).load(target.environment).site
    names = select_nodes(site, hosts, limits)
    modules = load_modules(target, site) if site.hosts else {}
    provisions = provide_nodes(target, site, modules, names, reporter, fetch=fetch)
    deployments = tuple(Deployment(name, provisions[name].artifacts, provisions[name].files) for name in names)
    return Given(site, modules, deployments)
