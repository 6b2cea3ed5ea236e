"""The data of the catalogue is whole."""

from __future__ import annotations

import re

import pytest

from obstack.catalog.components import ARCHITECTURES, COMPONENTS, Component, library_folders
from obstack.catalog.releases import Release

RELEASES = {name: component.release for name, component in COMPONENTS.items() if component.release is not None}


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=COMPONENTS.keys())
def test_every_program_is_among_the_paths_wanted_of_the_packages(component: Component) -> None:
    wanted = {path for package in component.packages for path in package.only}
    for places in component.programs.values():
        assert set(places) <= wanted
    assert not any(package.optional for package in component.packages[:1])


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES.keys())
def test_every_pinned_release_has_digests_and_a_default_for_both_architectures(release: Release) -> None:
    assert set(release.digests[release.default]) == set(ARCHITECTURES)
    digests = [digest for by_architecture in release.digests.values() for digest in by_architecture.values()]
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == len(digests)
    assert release.url.format(version="1.2.3", architecture="arm64").endswith("-1.2.3.linux-arm64.tar.gz")


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_has_the_programs_that_the_packages_have(name: str) -> None:
    release = RELEASES[name]
    assert release is not None
    assert set(release.binaries) == set(COMPONENTS[name].programs)


def test_library_folders_are_known_for_every_architecture() -> None:
    for architecture in ARCHITECTURES:
        assert all("linux-gnu" in folder for folder in library_folders(architecture))
