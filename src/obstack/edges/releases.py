"""Archives that the upstream projects publish, at versions whose SHA-256 the catalogue pins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact, Newest
from obstack.catalog.components import Component
from obstack.catalog.releases import Release
from obstack.errors import Unreachable, UsageError
from obstack.model.components import ArtifactChoice, Source
from obstack.ports import ArchiveCache, ArchiveMirror, Downloads


class Releases:
    """Release archives. With `downloads` they come from the projects' own sites, without from the mirror alone."""

    def __init__(self, cache: ArchiveCache, mirror: ArchiveMirror | None, downloads: Downloads | None) -> None:
        self._cache = cache
        self._mirror = mirror
        self._downloads = downloads

    def settle(self, choice: ArtifactChoice) -> ArtifactChoice:
        """Given a choice, return it: nothing of a release depends on the machine."""
        return choice

    def resolve(
        self,
        component: Component,
        choice: ArtifactChoice,
        architecture: str,
        *,
        runs_on: str | None = None,  # noqa: ARG002 releases are static programs, which run on every suite
    ) -> Artifact:
        """Given a choice, return the artifact by digest, with its archive in the cache.

        Raises UsageError when no such release is pinned, Unreachable when it cannot be had, ChangeFailed when what
        comes is something else.
        """
        release, version, digest = _pinned(component, choice, architecture)
        url = release.url.format(version=version, architecture=architecture)
        name = url.rpartition("/")[2]
        file = self._cache.verify(digest) or self._obtain(name, digest, url)
        entry = ArchiveEntry(name, digest, file.stat().st_size, release.kind, strip=release.strip)
        return Artifact(
            component=component.name,
            version=version,
            source=(Source.RELEASE if self._downloads else Source.MIRROR).value,
            suite=None,
            architecture=architecture,
            archives=(Archive(entry, url),),
            binaries=dict(release.binaries),
        )

    def newest(self, component: Component, choice: ArtifactChoice, architecture: str) -> Newest:
        """Given a choice, return what the catalogue pins for it. Raises UsageError when that is nothing."""
        _, version, digest = _pinned(component, choice, architecture)
        return Newest(version, frozenset({digest}))

    def fetch(self, artifacts: Sequence[Artifact]) -> None:
        """Given artifacts, put those of their archives that the cache lacks into it. Raises what `resolve` raises."""
        for artifact in artifacts:
            for archive in artifact.archives:
                if self._cache.find(archive.entry) is None:
                    self._obtain(archive.entry.name, archive.entry.digest, archive.location)

    def _obtain(self, name: str, digest: str, url: str) -> Path:
        file = self._mirror.fetch(name, digest) if self._mirror else None
        if file is not None:
            return file
        with self._cache.workspace() as folder:
            if self._downloads and self._downloads.fetch(url, folder / name, f"Fetching {name}"):
                return self._cache.take(folder / name, name=name, digest=digest, origin=url)
        raise Unreachable(
            code="archive-not-found",
            what=f"The archive {name} is not where it was looked for.",
            where=url if self._downloads else f"the mirror, as sha256/{digest}",
            state="nothing was changed",
            do=f"put {name} into the mirror as sha256/{digest}, or choose another version in artifacts",
        )


def _pinned(component: Component, choice: ArtifactChoice, architecture: str) -> tuple[Release, str, str]:
    """Return the release, the version that is chosen of it and the digest. Raises UsageError."""
    release = component.release
    version = choice.version or (release.default if release else "")
    digest = release.digests.get(version, {}).get(architecture) if release else None
    if release is None or digest is None:
        raise _not_pinned(component, version, architecture)
    return release, version, digest


def _not_pinned(component: Component, version: str, architecture: str) -> UsageError:
    release = component.release
    if release is None:
        what = f"Upstream publishes no ready archive of {component.name}."
        known = "it is taken from Debian packages only"
        do = f"set artifacts.components.{component.name}.source to debian"
    else:
        pinned = [name for name, digests in release.digests.items() if architecture in digests]
        what = f"The release {version} of {component.name} is not pinned for {architecture}."
        known = f"pinned are {', '.join(pinned)}"
        do = f"set artifacts.components.{component.name}.version to one of these"
    return UsageError(code="release-not-pinned", what=what, where=known, state="nothing was changed", do=do)
