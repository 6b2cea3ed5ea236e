"""The machine's own package sources, read and turned into sources for any suite of the same archive.

Only the distribution's own archive is taken, of that its free software. What else is configured (a vendor's
repository, say) never gets into an artifact. Signatures are always required, whatever a source says about trust.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from obstack.catalog.deb822 import stanzas

COMPONENTS: Final = ("main", "universe")
"""The distribution's own free software: `main` of Debian, and what Ubuntu calls `universe`."""

POCKETS: Final = ("-updates", "-security")
ROLLING: Final = {"sid", "unstable", "experimental"}
ALIASES: Final = ("stable", "oldstable", "testing", "unstable", "sid")
"""Names by which a machine's sources may follow a suite without giving its code name."""

ARCHIVE_KEYRINGS: Final = ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp", "ubuntu-archive-keyring.gpg")


@dataclass(frozen=True)
class PackageSource:
    """One suite of one archive. `signed_by` are the keyring files or the key itself; empty means apt's trusted keys."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    @property
    def base(self) -> str:
        """The suite without its pocket: `bookworm` for `bookworm-security`."""
        for pocket in POCKETS:
            if self.suite.endswith(pocket):
                return self.suite.removesuffix(pocket)
        return self.suite


def read_sources(etc: Path) -> tuple[PackageSource, ...]:
    """Given apt's configuration folder, return every enabled source of binary packages in it, in apt's order."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    found: list[PackageSource] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if file.suffix == ".list":
            found += parse_list(text)
        elif file.suffix == ".sources":
            found += parse_deb822(text)
    return tuple(found)


def parse_list(text: str) -> Iterator[PackageSource]:
    """Given one-line sources, yield those of binary packages."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match is None:
            continue
        options = dict(option.partition("=")[::2] for option in shlex.split(match[1] or ""))
        signed_by = options.get("signed-by", "").replace(",", " ")
        yield PackageSource(match[2].rstrip("/"), match[3], tuple(match[4].split()), signed_by)


def parse_deb822(text: str) -> Iterator[PackageSource]:
    """Given sources in stanzas, yield those of binary packages, one for each URI and suite."""
    for fields in stanzas(text):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield PackageSource(uri.rstrip("/"), suite, components, fields.get("signed-by", ""))


def own_suite(sources: Iterable[PackageSource], codename: str) -> str:
    """Given the machine's sources and the code name of its release, return the suite that its packages come from.

    A machine may follow `stable` or `sid` instead of a code name.
    """
    names = {source.base for source in sources if "main" in source.components}
    return next((name for name in (codename, *ALIASES) if name in names), codename)


def sources_for(sources: Iterable[PackageSource], own: str, suite: str) -> tuple[PackageSource, ...]:
    """Given the machine's sources and its own suite, return the sources of `suite` in the same archives.

    The suite's updates and security fixes are taken from where the machine takes its own; a rolling suite has none.
    """
    mine = [
        replace(source, components=tuple(name for name in COMPONENTS if name in source.components))
        for source in sources
        if source.base == own
    ]
    mine = [source for source in mine if source.components]
    if suite == own:
        return tuple(mine)
    return tuple(
        dict.fromkeys(
            replace(source, suite=source.suite.replace(own, suite, 1))
            for source in mine
            if source.suite == own or suite not in ROLLING
        )
    )


def render_sources(sources: Iterable[PackageSource], architecture: str, keyrings: Path, *, foreign: bool) -> str:
    """Given sources, return them as stanzas for apt.

    A `foreign` suite may be signed by keys that the machine's own suite is not signed by, so that the archive's whole
    keyring from `keyrings` is added to keyrings named in a source.
    """
    parts = []
    for source in sources:
        lines = [
            "Types: deb",
            f"URIs: {source.uri}",
            f"Suites: {source.suite}",
            f"Components: {' '.join(source.components)}",
            f"Architectures: {architecture}",
            "Targets: Packages",
            "Languages: none",
            "PDiffs: no",
        ]
        if source.signed_by:
            lines.append(f"Signed-By: {_signed_by(source.signed_by, keyrings, foreign)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _signed_by(value: str, keyrings: Path, foreign: bool) -> str:
    if "\n" in value:  # the key itself, folded into the field
        return value.replace("\n", "\n ")
    names = value.split()
    if foreign and all(name.startswith("/") for name in names):
        names += [str(keyrings / name) for name in ARCHIVE_KEYRINGS if (keyrings / name).is_file()]
    return " ".join(dict.fromkeys(names))
