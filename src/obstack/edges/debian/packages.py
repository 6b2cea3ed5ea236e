"""Debian packages as artifacts: settle, resolve and fetch."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact, Newest
from obstack.catalog.components import Component, Package, library_folders
from obstack.catalog.versions import compare_debian, debian_key, matches, upstream
from obstack.edges.debian.apt import FRESH_S, PrivateApt, own_architecture
from obstack.edges.debian.closure import close
from obstack.edges.debian.index import PackageVersion, choose, needed_c_library
from obstack.edges.debian.sources import PackageSource, own_suite, read_sources, render_sources, sources_for
from obstack.errors import ChangeFailed, StackError, Unreachable, UsageError
from obstack.model.components import ArtifactChoice, Source
from obstack.ports import ArchiveCache, Reporter

KEYRINGS: Final = Path("/usr/share/keyrings")


class DebianPackages:
    """The distribution's packages, from the mirror that this machine's own package sources name.

    apt's private state lies below `folder`. An index older than `max_age_s` is fetched again before it is first used,
    and then serves all components.
    """

    def __init__(
        self,
        folder: Path,
        cache: ArchiveCache,
        reporter: Reporter,
        *,
        max_age_s: float = FRESH_S,
        etc: Path = Path("/etc/apt"),
    ) -> None:
        self._folder = folder
        self._cache = cache
        self._reporter = reporter
        self._max_age_s = max_age_s
        self._etc = etc
        self._indexes: dict[tuple[str, str], PrivateApt] = {}

    def settle(self, choice: ArtifactChoice) -> ArtifactChoice:
        """Given a choice, return it with this machine's own suite when it names none. Raises UsageError."""
        return choice if choice.suite else choice.model_copy(update={"suite": self._own_suite})

    def resolve(
        self, component: Component, choice: ArtifactChoice, architecture: str, *, runs_on: str | None = None
    ) -> Artifact:
        """Given a settled choice, return the artifact by digest, with all its packages in the cache.

        Raises UsageError when the suite lacks the package or the version, or when its programs need a newer C library
        than the machines of the suite `runs_on` have (None: than this machine has); Unreachable and ChangeFailed as
        apt fails or something is not what the index promised.
        """
        suite = choice.suite or self._own_suite
        apt = self.apt(suite, architecture)
        packages = close(self._roots(apt, component, choice.version, suite), apt.show)
        self._require_c_library(component, packages, suite, architecture, runs_on)
        archives = [
            Archive(
                ArchiveEntry(_name(version), version.digest, version.size, "deb", only=package.only), version.filename
            )
            for package, version in packages
        ]
        self._fetch_indexed(apt, [version for _, version in packages], architecture)
        names = self._contents(archives)
        return Artifact(
            component=component.name,
            version=packages[0][1].version,
            source=Source.DEBIAN.value,
            suite=suite,
            architecture=architecture,
            archives=tuple(archives),
            binaries={
                program: _place(component, program, places, names, suite)
                for program, places in component.programs.items()
            },
            libraries=tuple(
                folder
                for folder in library_folders(architecture)
                if any(name.startswith(f"{folder}/") and ".so" in name for name in names)
            ),
        )

    def newest(self, component: Component, choice: ArtifactChoice, architecture: str) -> Newest:
        """Given a settled choice, return what the index has for it. Raises UsageError and Unreachable as `resolve`."""
        suite = choice.suite or self._own_suite
        apt = self.apt(suite, architecture)
        packages = close(self._roots(apt, component, choice.version, suite), apt.show)
        return Newest(packages[0][1].version, frozenset(version.digest for _, version in packages))

    def fetch(self, artifacts: Sequence[Artifact]) -> None:
        """Given artifacts of the lock, put those of their packages that the cache lacks into it.

        A locked version that the index no longer names is asked for at its place in the archive's pool. Raises
        Unreachable when it cannot be had, ChangeFailed when what comes is something else.
        """
        for artifact in artifacts:
            missing = [archive for archive in artifact.archives if self._cache.find(archive.entry) is None]
            if not missing:
                continue
            suite = artifact.suite or self._own_suite
            apt = self.apt(suite, artifact.architecture)
            digests = {archive.entry.digest for archive in missing}
            indexed = {
                version.digest: version
                for version in apt.show(sorted({archive.entry.name.split("_")[0] for archive in missing}))
                if version.digest in digests
            }
            self._fetch_indexed(apt, list(indexed.values()), artifact.architecture)
            for archive in missing:
                if archive.entry.digest not in indexed:
                    self._fetch_from_pool(apt, archive, suite)

    def apt(self, suite: str, architecture: str) -> PrivateApt:
        """Given a suite, return apt over it, whose index is brought up to date the first time.

        Raises UsageError when no source of this machine has the suite, and what `PrivateApt.refresh` raises.
        """
        apt = self._indexes.get((suite, architecture))
        if apt is None:
            apt = self._new_apt(suite, architecture)
            apt.refresh(self._max_age_s, self._reporter.step)
            self._indexes[suite, architecture] = apt
        return apt

    # ------------------------------------------------------------------------------------------------- choosing

    def _sources(self) -> tuple[PackageSource, ...]:
        return read_sources(self._etc)

    @functools.cached_property
    def _own_suite(self) -> str:
        codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
        return own_suite(self._sources(), codename)

    def _new_apt(self, suite: str, architecture: str) -> PrivateApt:
        own = self._own_suite
        sources = sources_for(self._sources(), own, suite)
        if not sources:
            raise UsageError(
                code="no-package-sources",
                what=f"This machine's package sources name no archive that has the suite {suite}.",
                where=f"{self._etc}/sources.list and {self._etc}/sources.list.d",
                state="nothing was changed",
                do="add the distribution's archive to the sources, or set artifacts.default.source to another",
            )
        text = render_sources(sources, architecture, KEYRINGS, foreign=suite != own)
        return PrivateApt(self._folder, text, architecture, suite)

    def _roots(
        self, apt: PrivateApt, component: Component, wanted: str | None, suite: str
    ) -> list[tuple[Package, PackageVersion]]:
        versions = apt.show([package.name for package in component.packages])
        first = choose(versions, component.packages[0].name, wanted)
        if first is None:
            known = sorted({item.version for item in versions if item.name == component.packages[0].name})
            raise _not_found(component, component.packages[0].name, wanted, suite, known)
        roots = [(component.packages[0], first)]
        for package in component.packages[1:]:
            found = _companion(versions, package.name, first.version)
            if found is not None:
                roots.append((package, found))
            elif not package.optional:
                raise _not_found(component, package.name, None, suite, [])
        return roots

    def _require_c_library(
        self,
        component: Component,
        packages: Iterable[tuple[Package, PackageVersion]],
        suite: str,
        architecture: str,
        runs_on: str | None,
    ) -> None:
        needed = needed_c_library(version for _, version in packages)
        own = self._c_library(architecture, runs_on) if runs_on != suite else ""
        if not own or compare_debian(needed, own) <= 0:
            return
        here = "this machine" if runs_on is None else f"a machine of {runs_on}"
        raise UsageError(
            code="c-library-too-old",
            what=f"The {component.name} of {suite} needs a newer C library than {here} has.",
            where=f"needed: {needed}, there: {own}",
            state="nothing was changed",
            do=f"remove `suite: {suite}` from artifacts.components.{component.name} to use the suite of the machine",
        )

    def _c_library(self, architecture: str, runs_on: str | None) -> str:
        """Return the version of the C library of a suite's machines, or this machine's; empty when nobody knows it."""
        if runs_on is not None:
            found = choose(self.apt(runs_on, architecture).show(["libc6"]), "libc6")
            return found.version if found else ""
        if architecture != own_architecture():
            return ""
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2]

    # ------------------------------------------------------------------------------------------------- fetching

    def _fetch_indexed(self, apt: PrivateApt, versions: Sequence[PackageVersion], architecture: str) -> None:
        wanted = [(version, _entry(version)) for version in versions]
        missing = [(version, entry) for version, entry in wanted if self._cache.find(entry) is None]
        if not missing:
            return
        total = sum(version.size for version, _ in missing)
        message = f"Fetching {missing[0][0].name}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        with self._cache.workspace() as folder:
            self._reporter.progress(message, 0, total)
            apt.download(
                [version for version, _ in missing], folder, lambda done: self._reporter.progress(message, done, total)
            )
            self._reporter.progress(message, total, total)
            for version, _ in missing:
                file = _downloaded(folder, version, architecture)
                self._cache.take(file, name=_name(version), digest=version.digest, origin=version.filename)

    def _fetch_from_pool(self, apt: PrivateApt, archive: Archive, suite: str) -> None:
        uris = dict.fromkeys(source.uri for source in sources_for(self._sources(), self._own_suite, suite))
        problem: StackError | None = None
        with self._cache.workspace() as folder:
            for number, uri in enumerate(uris):
                file = folder / str(number)
                try:
                    apt.download_file(f"{uri}/{archive.location}", file, archive.entry.digest)
                except Unreachable as error:
                    problem = error
                    continue
                entry = archive.entry
                self._cache.take(file, name=entry.name, digest=entry.digest, origin=f"{uri}/{archive.location}")
                return
        raise Unreachable(
            code="locked-package-gone",
            what=f"The locked package {archive.entry.name} is no longer in the archive.",
            where=f"{archive.location}, at {' and at '.join(uris)}",
            state="nothing was changed",
            do="observability lock --update COMPONENT    to take the version that the archive has now",
            detail=problem.detail if problem else None,
        )

    def _contents(self, archives: Iterable[Archive]) -> set[str]:
        names: set[str] = set()
        for archive in archives:
            file = self._cache.find(archive.entry)
            if file is not None:
                names |= set(_wanted(_contents_of(file), archive.entry.only))
        return names


def _entry(version: PackageVersion) -> ArchiveEntry:
    return ArchiveEntry(_name(version), version.digest, version.size, "deb")


def _name(version: PackageVersion) -> str:
    return version.filename.rpartition("/")[2]


def _downloaded(folder: Path, version: PackageVersion, architecture: str) -> Path:
    """Return the file as apt names it: with the epoch, whose colon is written `%3a`."""
    stem = f"{version.name}_{version.version.replace(':', '%3a')}"
    for suffix in (architecture, "all"):
        file = folder / f"{stem}_{suffix}.deb"
        if file.exists():
            return file
    raise ChangeFailed(
        code="package-not-fetched",
        what=f"apt did not leave the package {version.name} {version.version} where it was asked to.",
        where=", ".join(sorted(file.name for file in folder.iterdir())) or "an empty folder",
        state="nothing was changed",
        do="run the command again",
    )


def _companion(versions: Iterable[PackageVersion], name: str, version: str) -> PackageVersion | None:
    """Given the version of a component's first package, return the version of another of its packages to go with it.

    That is the same one; or one of the same upstream version, when only one of them was built again; or the newest.
    """
    mine = [item for item in versions if item.name == name]
    for fits in (
        lambda item: item.version == version,
        lambda item: matches(item.version, upstream(version)),
        lambda _: True,
    ):
        best = max(filter(fits, mine), key=lambda item: debian_key(item.version), default=None)
        if best is not None:
            return best
    return None


def _not_found(component: Component, package: str, wanted: str | None, suite: str, known: Sequence[str]) -> UsageError:
    subject = f"{package} {wanted}" if wanted else package
    has = f"it has {', '.join(known)}" if known else "it has no version of it"
    return UsageError(
        code="package-not-found",
        what=f"The suite {suite} has no package {subject}.",
        where=f"the package index of {suite}: {has}",
        state="nothing was changed",
        do=f"correct artifacts.components.{component.name} in the configuration",
    )


def _place(component: Component, program: str, places: Iterable[str], names: set[str], suite: str) -> str:
    for place in places:
        if place in names:
            return place
    raise ChangeFailed(
        code="program-missing",
        what=f"The packages of {component.name} in {suite} hold no program {program}.",
        where=f"looked for {' and '.join(places)}",
        state="nothing was changed",
        do=f"choose another suite in artifacts.components.{component.name}",
    )


def _wanted(names: Iterable[str], only: Sequence[str]) -> Iterable[str]:
    return (name for name in names if any(name == item or name.startswith(f"{item}/") for item in only))


def _contents_of(package: Path) -> list[str]:
    """Given a package file, return the paths in it, without a leading `./`. Raises ChangeFailed."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                return [member.name.removeprefix("./") for member in tar]
        except tarfile.TarError as error:
            raise ChangeFailed(
                code="package-unreadable",
                what="A package could not be read.",
                where=f"{package}: {error}",
                state="nothing was changed",
                do=f"remove {package} and run the command again",
            ) from error
