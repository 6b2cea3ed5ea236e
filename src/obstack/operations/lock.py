"""From choices to artifacts: resolve what is not locked yet, and have every locked archive at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.components import COMPONENTS, Component
from obstack.catalog.lock import Lock, Platform, satisfies
from obstack.errors import Unreachable, UsageError
from obstack.model.components import ArtifactChoice, Source
from obstack.model.site import Site
from obstack.ports import ArchiveCache, ArchiveMirror, ArtifactSource


@dataclass(frozen=True)
class Supply:
    """Where archives come from: the cache, the site's own mirror if it has one, and a source of each kind."""

    cache: ArchiveCache
    sources: Mapping[Source, ArtifactSource]
    mirror: ArchiveMirror | None = None


def decide_choice(site: Site, component: Component) -> ArtifactChoice:
    """Given a component, return what the site chose for it.

    What upstream publishes as source only comes from Debian, unless the site says otherwise by the component's name.
    """
    choice = site.artifacts.choice(component.name)
    if not component.packages:
        return _without_debian(site, component, choice)
    if component.release is None and component.name not in site.artifacts.components:
        return choice if choice.source is Source.DEBIAN else ArtifactChoice()
    return choice


def _without_debian(site: Site, component: Component, choice: ArtifactChoice) -> ArtifactChoice:
    """Return the choice for what no Debian suite carries: the release, or the site's own mirror."""
    if choice.source is not Source.DEBIAN:
        return choice
    if component.name in site.artifacts.components:
        raise UsageError(
            code="component-not-in-debian",
            what=f"There is no Debian package of {component.name}.",
            where=f"artifacts.components.{component.name}.source",
            state="nothing was changed",
            do=f"set artifacts.components.{component.name}.source to release or mirror, or remove it",
        )
    return ArtifactChoice(source=Source.RELEASE)


def lockable(site: Site) -> tuple[str, ...]:
    """Given a site, return the components that are locked for its server: all but those that it has not chosen."""
    return tuple(name for name in COMPONENTS if name != "grafana" or site.runs_grafana)


def resolve(
    site: Site,
    architecture: str,
    supply: Supply,
    *,
    lock: Lock,
    update: Collection[str] = (),
    components: Iterable[str] | None = None,
) -> Lock:
    """Given the site and the lock so far, return the lock in which each of `components` is what the site chose.

    Without them, it is each that the site's server can have.

    What is locked already stays as it is, and nothing is asked of the network for it, except for the components named
    in `update`. Raises what the sources raise.
    """
    artifacts: dict[str, Artifact] = dict(lock.artifacts(architecture))
    for name in lockable(site) if components is None else components:
        component = COMPONENTS[name]
        choice = decide_choice(site, component)
        source = supply.sources[choice.source]
        choice = source.settle(choice)
        if name in update or name not in artifacts or not satisfies(artifacts[name], choice):
            artifacts[name] = source.resolve(component, choice, architecture)
    return lock.updated(architecture, artifacts)


def resolve_architectures(
    site: Site,
    architectures: Iterable[str],
    supply: Supply,
    *,
    lock: Lock,
    needed: Collection[str],
    update: Collection[str] = (),
) -> tuple[Lock, dict[str, str]]:
    """Given architectures, return the lock in which each has every component, and why some were left out.

    One that is not `needed` is left out when the site's choice cannot be had for it, or nothing can be reached to lock
    it by: a server without a way out goes on with its own. Raises what the sources raise.
    """
    left_out: dict[str, str] = {}
    for architecture in architectures:
        try:
            lock = resolve(site, architecture, supply, lock=lock, update=update)
        except (UsageError, Unreachable) as error:
            if architecture in needed:
                raise
            left_out[architecture] = error.what
    return lock, left_out


def decide_host_choice(site: Site, component: Component, suite: str) -> ArtifactChoice:
    """Given a component of hosts and their suite, return the choice, which is settled for packages.

    The suite that the site chose for a component by its name wins; the one it chose for all others is the server's.
    """
    choice = decide_choice(site, component)
    if choice.source is not Source.DEBIAN:
        return choice
    named = choice.suite if component.name in site.artifacts.components else None
    return choice.model_copy(update={"suite": named or component.suite or suite})


def resolve_hosts(
    site: Site,
    platforms: Mapping[Platform, Mapping[str, Component]],
    supply: Supply,
    *,
    lock: Lock,
    update: Collection[str] = (),
) -> Lock:
    """Given the components that the hosts of each platform need, return the lock in which all of them are.

    What is locked already stays as it is, as for the server. Raises what the sources raise.
    """
    for platform, components in platforms.items():
        artifacts: dict[str, Artifact] = dict(lock.host_artifacts(platform))
        for name, component in components.items():
            choice = decide_host_choice(site, component, platform.suite)
            if name in update or name not in artifacts or not satisfies(artifacts[name], choice):
                artifacts[name] = supply.sources[choice.source].resolve(
                    component, choice, platform.architecture, runs_on=platform.suite
                )
        if artifacts != lock.host_artifacts(platform):
            lock = lock.updated_hosts(platform, artifacts)
    return lock


def ensure(artifacts: Collection[Artifact], supply: Supply, *, verify: bool = False) -> dict[str, Path]:
    """Given locked artifacts, return the files of all their archives by digest, fetching what the cache lacks.

    The mirror is asked first. With `verify`, the archives in the cache are read, and damaged ones fetched again; else
    their names are believed, since the agent verifies what it unpacks. Raises what the sources raise.
    """
    entries = [archive.entry for artifact in artifacts for archive in artifact.archives]
    for entry in entries:
        if verify:
            supply.cache.verify(entry.digest)
        if supply.cache.find(entry) is None and supply.mirror is not None:
            supply.mirror.fetch(entry.name, entry.digest)
    for source in Source:
        missing = [
            artifact
            for artifact in artifacts
            if artifact.source == source and any(supply.cache.find(a.entry) is None for a in artifact.archives)
        ]
        if missing:
            supply.sources[source].fetch(missing)
    return {
        archive.entry.digest: _file(supply, artifact, archive)
        for artifact in artifacts
        for archive in artifact.archives
    }


def _file(supply: Supply, artifact: Artifact, archive: Archive) -> Path:
    file = supply.cache.find(archive.entry)
    if file is not None:
        return file
    # Whatever came in had the right digest, so it can only be that the lock gives another size for it.
    raise UsageError(
        code="locked-size-wrong",
        what=f"The lock gives a wrong size for {archive.entry.name}.",
        where=f"component {artifact.component}: {archive.entry.size} bytes, SHA-256 {archive.entry.digest}",
        state="nothing was changed",
        do=f"observability lock --update {artifact.component}",
    )
