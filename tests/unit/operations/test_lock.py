"""What is locked stays locked and costs nothing; what is not is asked of the source that the site chose."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact, Newest
from obstack.catalog.components import COMPONENTS, Component, Package
from obstack.catalog.lock import Lock, Platform
from obstack.edges.cache import ABANDONED_S, ArtifactCache
from obstack.edges.mirror import Mirror
from obstack.errors import ChangeFailed, Unreachable, UsageError
from obstack.model.components import ArtifactChoice, Artifacts, Source
from obstack.model.site import Site
from obstack.operations.currency import CURRENT, NEWER, NOT_LOCKED, OTHERWISE, PARTS, find_currency
from obstack.operations.lock import Supply, ensure, resolve, resolve_architectures, resolve_hosts

SERVED = tuple(name for name in COMPONENTS if name != "grafana")
"""The components of a site that has not chosen Grafana."""


def content(component: str) -> bytes:
    return f"the archive of {component}".encode()


class Shelf:
    """A source that makes archives on the spot, and remembers what it was asked for."""

    def __init__(self, kind: Source, cache: ArtifactCache) -> None:
        self.kind = kind
        self.cache = cache
        self.resolved: list[str] = []
        self.ran_on: list[str | None] = []
        self.fetched: list[str] = []
        self.version = "1.0"
        self.lacking: dict[str, type[UsageError] | type[Unreachable]] = {}

    def settle(self, choice: ArtifactChoice) -> ArtifactChoice:
        if self.kind is Source.DEBIAN and choice.suite is None:
            return choice.model_copy(update={"suite": "bookworm"})
        return choice

    def resolve(
        self, component: Component, choice: ArtifactChoice, architecture: str, *, runs_on: str | None = None
    ) -> Artifact:
        if architecture in self.lacking:
            raise self.lacking[architecture](code="lacking", what=f"none for {architecture}", where="", state="", do="")
        self.resolved.append(component.name)
        self.ran_on.append(runs_on)
        data = content(component.name)
        entry = ArchiveEntry(f"{component.name}.tar", hashlib.sha256(data).hexdigest(), len(data), "tar")
        artifact = Artifact(
            component=component.name,
            version=choice.version or "1.0",
            source=self.kind.value,
            suite=choice.suite,
            architecture=architecture,
            archives=(Archive(entry, f"pool/{entry.name}"),),
            binaries={},
        )
        self.fetch([artifact])
        return artifact

    def newest(self, component: Component, choice: ArtifactChoice, architecture: str) -> Newest:
        digest = hashlib.sha256(content(component.name)).hexdigest()
        return Newest(choice.version or self.version, frozenset({digest}))

    def fetch(self, artifacts: Sequence[Artifact]) -> None:
        for artifact in artifacts:
            self.fetched.append(artifact.component)
            entry = artifact.archives[0].entry
            with self.cache.workspace() as folder:
                (folder / "fetched").write_bytes(content(artifact.component))
                self.cache.take(folder / "fetched", name=entry.name, digest=entry.digest, origin="the shelf")


class NoDownloads:
    """A network that is not there."""

    def fetch(self, url: str, into: Path, message: str) -> bool:
        raise AssertionError(f"{url} was asked for")


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path / "cache")


@pytest.fixture
def debian(cache: ArtifactCache) -> Shelf:
    return Shelf(Source.DEBIAN, cache)


@pytest.fixture
def release(cache: ArtifactCache) -> Shelf:
    return Shelf(Source.RELEASE, cache)


@pytest.fixture
def supply(cache: ArtifactCache, debian: Shelf, release: Shelf) -> Supply:
    return Supply(cache, {Source.DEBIAN: debian, Source.RELEASE: release})


def site(default: ArtifactChoice | None = None, **components: ArtifactChoice) -> Site:
    artifacts = Artifacts(default=default or ArtifactChoice(), components=components)
    return Site(domain="mon-1.internal", artifacts=artifacts)


def test_everything_is_resolved_the_first_time_and_nothing_the_second(supply: Supply, debian: Shelf) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    assert debian.resolved == list(SERVED)
    debian.resolved.clear()
    assert resolve(site(), "amd64", supply, lock=lock) == lock
    assert debian.resolved == []


def test_only_what_is_to_be_updated_is_resolved_again(supply: Supply, debian: Shelf) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    debian.resolved.clear()
    resolve(site(), "amd64", supply, lock=lock, update=("nginx",))
    assert debian.resolved == ["nginx"]


@pytest.mark.parametrize("choice", [ArtifactChoice(suite="trixie"), ArtifactChoice(version="2.0")])
def test_only_what_the_site_chose_otherwise_is_resolved_again(
    choice: ArtifactChoice, supply: Supply, debian: Shelf
) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    debian.resolved.clear()
    changed = resolve(site(prometheus=choice), "amd64", supply, lock=lock)
    assert debian.resolved == ["prometheus"]
    assert changed.artifacts("amd64")["nginx"] == lock.artifacts("amd64")["nginx"]
    debian.resolved.clear()
    resolve(site(prometheus=choice), "amd64", supply, lock=changed)
    assert debian.resolved == []


def test_what_has_no_release_comes_from_debian_unless_it_is_named(
    supply: Supply, debian: Shelf, release: Shelf
) -> None:
    releases = ArtifactChoice(source=Source.RELEASE)
    resolve(site(releases), "amd64", supply, lock=Lock())
    assert set(debian.resolved) == {"nginx", "journal-remote", "nftables"}
    assert set(release.resolved) == set(SERVED) - {"nginx", "journal-remote", "nftables"}
    release.resolved.clear()
    resolve(site(releases, nginx=releases), "amd64", supply, lock=Lock(), components=("nginx",))
    assert release.resolved == ["nginx"]


def test_grafana_is_locked_where_it_is_chosen_and_never_comes_from_debian(
    supply: Supply, debian: Shelf, release: Shelf
) -> None:
    chosen = Site.model_validate({"domain": "o.example.org", "dashboards": {"engine": "grafana"}})
    resolve(chosen, "amd64", supply, lock=Lock())
    assert release.resolved == ["grafana"]
    assert "grafana" not in debian.resolved
    named = Artifacts(components={"grafana": ArtifactChoice(source=Source.DEBIAN)})
    with pytest.raises(UsageError, match="no Debian package"):
        resolve(chosen.model_copy(update={"artifacts": named}), "amd64", supply, lock=Lock())


def test_components_that_are_not_asked_for_keep_their_place_in_the_lock(supply: Supply, debian: Shelf) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    again = resolve(site(), "arm64", supply, lock=lock, components=("nginx",))
    assert again.artifacts("amd64") == lock.artifacts("amd64")
    assert list(again.artifacts("arm64")) == ["nginx"]


BOOKWORM = Platform("bookworm", "amd64")
TRIXIE = Platform("trixie", "arm64")
MYSQLD = Component("mysqld-exporter", (Package("prometheus-mysqld-exporter", ("usr/bin",)),), {})
STATIC = replace(MYSQLD, name="redis-exporter", suite="trixie")


def test_hosts_get_what_fits_their_platform_and_what_is_locked_costs_nothing(supply: Supply, debian: Shelf) -> None:
    wanted = {
        BOOKWORM: {"nginx": COMPONENTS["nginx"], STATIC.name: STATIC},
        TRIXIE: {"nginx": COMPONENTS["nginx"], MYSQLD.name: MYSQLD},
    }
    lock = resolve_hosts(site(), wanted, supply, lock=Lock())
    assert debian.ran_on == ["bookworm", "bookworm", "trixie", "trixie"]
    assert {name: item.suite for name, item in lock.host_artifacts(BOOKWORM).items()} == {
        "nginx": "bookworm",
        "redis-exporter": "trixie",
    }
    assert lock.host_artifacts(TRIXIE)["nginx"].architecture == "arm64"
    debian.resolved.clear()
    assert resolve_hosts(site(), wanted, supply, lock=lock) is lock
    assert debian.resolved == []
    resolve_hosts(site(), {BOOKWORM: wanted[BOOKWORM]}, supply, lock=lock, update=("nginx",))
    assert debian.resolved == ["nginx"]


def test_the_servers_suite_is_not_the_hosts_but_a_suite_named_for_a_component_is(supply: Supply) -> None:
    chosen = site(ArtifactChoice(suite="sid"), nginx=ArtifactChoice(suite="trixie"))
    wanted = {BOOKWORM: {"nginx": COMPONENTS["nginx"], MYSQLD.name: MYSQLD}}
    artifacts = resolve_hosts(chosen, wanted, supply, lock=Lock()).host_artifacts(BOOKWORM)
    assert (artifacts["nginx"].suite, artifacts[MYSQLD.name].suite) == ("trixie", "bookworm")


def test_what_the_cache_has_is_not_fetched(supply: Supply, debian: Shelf, tmp_path: Path) -> None:
    artifacts = tuple(resolve(site(), "amd64", supply, lock=Lock()).artifacts("amd64").values())
    debian.fetched.clear()
    files = ensure(artifacts, supply)
    assert debian.fetched == []
    assert {file.read_bytes() for file in files.values()} == {content(name) for name in SERVED}
    assert all(file.name == digest for digest, file in files.items())
    assert not list((tmp_path / "cache").glob("fetch-*"))


def test_what_the_cache_lacks_is_fetched_from_the_mirror_first(supply: Supply, debian: Shelf, tmp_path: Path) -> None:
    artifacts = tuple(resolve(site(), "amd64", supply, lock=Lock()).artifacts("amd64").values())
    (tmp_path / "cache").rename(tmp_path / "mirror")
    lacking = next(a for a in artifacts if a.component == "nginx").archives[0].entry.digest
    (tmp_path / "mirror/sha256" / lacking).unlink()
    debian.fetched.clear()
    mirror = Mirror(str(tmp_path / "mirror"), debian.cache, NoDownloads())
    files = ensure(artifacts, replace(supply, mirror=mirror))
    assert len(files) == len(SERVED)
    assert debian.fetched == ["nginx"]


def test_damage_in_the_cache_is_found_and_mended_when_asked_to_look(
    supply: Supply, debian: Shelf, cache: ArtifactCache
) -> None:
    artifact = resolve(site(), "amd64", supply, lock=Lock()).artifacts("amd64")["nginx"]
    file = cache.find(artifact.archives[0].entry)
    assert file is not None
    file.write_bytes(content("NGINX"))
    debian.fetched.clear()
    ensure([artifact], supply)
    assert debian.fetched == []
    ensure([artifact], supply, verify=True)
    assert debian.fetched == ["nginx"]
    assert file.read_bytes() == content("nginx")


def test_half_an_archive_counts_as_none(supply: Supply, debian: Shelf, cache: ArtifactCache) -> None:
    artifact = resolve(site(), "amd64", supply, lock=Lock()).artifacts("amd64")["nginx"]
    file = cache.find(artifact.archives[0].entry)
    assert file is not None
    file.write_bytes(content("nginx")[:-1])
    ensure([artifact], supply)
    assert file.read_bytes() == content("nginx")


def test_a_size_in_the_lock_that_is_wrong_is_reported(supply: Supply) -> None:
    artifact = resolve(site(), "amd64", supply, lock=Lock()).artifacts("amd64")["nginx"]
    archive = artifact.archives[0]
    wrong = replace(artifact, archives=(replace(archive, entry=replace(archive.entry, size=1)),))
    with pytest.raises(UsageError) as caught:
        ensure([wrong], supply)
    assert caught.value.code == "locked-size-wrong"
    assert caught.value.do == "observability lock --update nginx"


def test_what_is_not_what_was_asked_for_never_gets_into_the_cache(cache: ArtifactCache, tmp_path: Path) -> None:
    wanted = hashlib.sha256(b"wanted").hexdigest()
    with cache.workspace() as folder:
        (folder / "x").write_bytes(b"other")
        with pytest.raises(ChangeFailed) as caught:
            cache.take(folder / "x", name="x", digest=wanted, origin="somewhere")
    assert wanted in caught.value.where
    assert hashlib.sha256(b"other").hexdigest() in caught.value.where
    assert cache.verify(wanted) is None


def test_what_killed_runs_left_behind_is_swept(cache: ArtifactCache, tmp_path: Path) -> None:
    old, new = tmp_path / "cache/fetch-old", tmp_path / "cache/fetch-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"")
    long_ago = time.time() - ABANDONED_S - 60
    os.utime(old, (long_ago, long_ago))
    with cache.workspace():
        assert not old.exists()
        assert new.exists()


@pytest.mark.parametrize("family", [UsageError, Unreachable])
def test_an_architecture_that_cannot_be_had_is_left_out_unless_it_is_needed(
    supply: Supply, debian: Shelf, family: type[UsageError] | type[Unreachable]
) -> None:
    debian.lacking["arm64"] = family
    both = ("amd64", "arm64")
    lock, left_out = resolve_architectures(site(), both, supply, lock=Lock(), needed=("amd64",))
    assert set(lock.architectures) == {"amd64"}
    assert left_out == {"arm64": "none for arm64"}
    with pytest.raises(family):
        resolve_architectures(site(), both, supply, lock=Lock(), needed=both)


# -------------------------------------------------------------------------------------------------------- currency


def standings(site: Site, supply: Supply, lock: Lock) -> dict[str, str]:
    """How each component stands that is not current."""
    found = find_currency(site, ["amd64"], {}, supply, lock)
    assert [item.component for item in found] == list(SERVED)
    return {item.component: item.standing for item in found if item.standing != CURRENT}


def test_what_was_just_locked_is_current_and_nothing_is_fetched_to_know_it(supply: Supply, debian: Shelf) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    debian.fetched.clear()
    assert standings(site(), supply, lock) == {}
    assert debian.fetched == []


def test_a_newer_version_is_told(supply: Supply, debian: Shelf) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    debian.version = "1.1"
    assert standings(site(), supply, lock) == dict.fromkeys(SERVED, NEWER)


def test_a_newer_library_of_the_same_version_is_told(supply: Supply) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    nginx = lock.artifacts("amd64")["nginx"]
    entry = replace(nginx.archives[0].entry, digest="0" * 64)
    older = replace(nginx, archives=(replace(nginx.archives[0], entry=entry),))
    lock = lock.updated("amd64", {**lock.artifacts("amd64"), "nginx": older})
    assert standings(site(), supply, lock) == {"nginx": PARTS}


def test_what_the_site_chose_otherwise_since_is_told(supply: Supply) -> None:
    lock = resolve(site(), "amd64", supply, lock=Lock())
    chosen = site(prometheus=ArtifactChoice(suite="trixie"))
    assert standings(chosen, supply, lock) == {"prometheus": OTHERWISE}


def test_what_is_not_locked_is_told_for_the_server_and_for_hosts(supply: Supply) -> None:
    component = Component("thing", (Package("thing", ("usr/bin/thing",)),), {})
    platform = Platform("trixie", "arm64")
    (item,) = find_currency(site(), [], {platform: {"thing": component}}, supply, Lock())
    assert (item.place, item.locked, item.newest, item.standing) == ("trixie/arm64", None, "1.0", NOT_LOCKED)
