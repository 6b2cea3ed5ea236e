"""The artifact that a module names, as a component: the sources of archives know nothing of modules."""

from __future__ import annotations

from obstack.catalog.components import Component, Package
from obstack.catalog.releases import Release
from obstack.model.module import ModuleArtifact, ModuleRelease


def module_component(artifact: ModuleArtifact) -> Component:
    """Given the artifact of a module's manifest, return the component that is resolved and locked for it."""
    return Component(
        name=artifact.name,
        packages=tuple(
            Package(package.name, package.only, optional=package.optional, followed=package.followed)
            for package in artifact.packages
        ),
        programs=dict(artifact.programs),
        release=_release(artifact.release) if artifact.release else None,
        suite=artifact.source_suite,
    )


def _release(release: ModuleRelease) -> Release:
    return Release(
        url=release.url,
        kind=release.kind,
        strip=release.strip,
        default=release.default,
        digests=release.digests,
        binaries=dict(release.programs),
        licence=release.licence,
    )
