"""The parts of what is deployed: each archive by its name in the wide world, its digest and its licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.licences import Licence
from obstack.model.components import Source

_GITHUB: Final = re.compile(r"https://github\.com/([^/]+)/([^/]+)/releases/download/([^/]+)/")


@dataclass(frozen=True, order=True)
class Part:
    """One archive that something deployed is unpacked from, or one library of this program.

    `purl` is its package URL; `digest` the SHA-256 of the archive, empty where there is none; `location` where it is
    had from, empty when the package manager of its kind knows.
    """

    purl: str
    name: str
    version: str
    licence: Licence
    digest: str = ""
    location: str = ""


@dataclass(frozen=True)
class Deployed:
    """An artifact, its parts, and the nodes that run it."""

    artifact: Artifact
    parts: tuple[Part, ...]
    nodes: tuple[str, ...]


def vouched_by(artifact: Artifact) -> str:
    """Given an artifact, return what vouches for its archives beside their SHA-256 in the lock."""
    if artifact.source == Source.DEBIAN:
        return "the archive's signature, checked by apt"
    return "the catalogue's pin; upstream signs nothing"


def debian_part(name: str, version: str, architecture: str, suite: str, archive: Archive, licence: Licence) -> Part:
    """Given what a package says of itself, the suite it was taken from and its archive, return the part."""
    vendor = "ubuntu" if "ubuntu" in version else "debian"
    purl = f"pkg:deb/{vendor}/{quote(name, safe='')}@{quote(version, safe='')}?arch={architecture}&distro={suite}"
    return Part(purl, name, version, licence, archive.entry.digest)


def release_part(artifact: Artifact, archive: Archive, licence: str) -> Part:
    """Given a release, its archive and its licence as SPDX writes it, return the part."""
    match = _GITHUB.match(archive.location)
    name = f"github/{match[1]}/{match[2]}@{match[3]}".lower() if match else ""
    purl = f"pkg:{name or f'generic/{artifact.component}@{quote(artifact.version)}'}?arch={artifact.architecture}"
    known = Licence(licence) if licence else Licence(note="the catalogue names no licence")
    return Part(purl, artifact.component, artifact.version, known, archive.entry.digest, archive.location)


def python_part(name: str, version: str, licence: Licence) -> Part:
    """Given an installed distribution, return the part."""
    return Part(f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{quote(version, safe='')}", name, version, licence)
