"""Artifacts as the lock file holds them: what was resolved, by digest."""

from __future__ import annotations

from dataclasses import dataclass

from obstack.agent.wire import ArchiveEntry, ArtifactEntry


@dataclass(frozen=True)
class Archive:
    """One archive and where it can be had: `location` is a URL, or for Debian the path below the mirror."""

    entry: ArchiveEntry
    location: str


@dataclass(frozen=True)
class Artifact:
    """A component at one version for one architecture.

    `binaries` maps a program's name to its path inside the unpacked artifact; `libraries` are folders inside it that
    the loader must search (empty for static programs).
    """

    component: str
    version: str
    source: str
    suite: str | None
    architecture: str
    archives: tuple[Archive, ...]
    binaries: dict[str, str]
    libraries: tuple[str, ...] = ()

    @property
    def entry(self) -> ArtifactEntry:
        """Return what the agent is told."""
        return ArtifactEntry(self.component, self.version, tuple(archive.entry for archive in self.archives))


@dataclass(frozen=True)
class Newest:
    """What a source would give today: the version, and the digests of all archives."""

    version: str
    digests: frozenset[str]
