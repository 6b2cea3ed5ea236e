"""What a package file says of itself: its name, version and copyright. Nothing of it is run or installed."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from obstack.errors import ChangeFailed

LARGEST: Final = 4 << 20
"""A copyright file is text for people; whatever is larger is none."""


@dataclass(frozen=True)
class PackageFacts:
    """A package by its own words. `copyright` is None when it has no such file, or leads to another package's."""

    name: str
    version: str
    architecture: str
    copyright: str | None


def describe(file: Path) -> PackageFacts:
    """Given a package file, return what it says of itself. Raises ChangeFailed when it cannot be read."""
    form = "${Package}\t${Version}\t${Architecture}"
    shown = subprocess.run(["dpkg-deb", "--show", f"--showformat={form}", str(file)], capture_output=True, check=False)
    fields = shown.stdout.decode(errors="replace").split("\t")
    if shown.returncode != 0 or len(fields) != 3:
        raise _unreadable(file, shown.stderr.decode(errors="replace").strip())
    name, version, architecture = fields
    return PackageFacts(name, version, architecture, _copyright(file, name))


def _copyright(file: Path, name: str) -> str | None:
    wanted = f"usr/share/doc/{name}/copyright"
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                for member in tar:
                    if member.name.removeprefix("./") == wanted:
                        content = tar.extractfile(member) if member.isreg() and member.size <= LARGEST else None
                        return content.read().decode(errors="replace") if content else None
        except tarfile.TarError as error:
            raise _unreadable(file, str(error)) from error
        finally:
            process.kill()
    return None


def _unreadable(file: Path, problem: str) -> ChangeFailed:
    return ChangeFailed(
        code="package-unreadable",
        what="A package could not be read.",
        where=f"{file}: {problem}",
        state="nothing was changed",
        do="observability lock --verify    fetches it again if it is damaged",
    )
