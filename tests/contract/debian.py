"""Real programs of three Debian suites, unpacked into a cache outside the checkout. Nothing is installed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from contract.cache import cache_folder
from obstack.catalog.components import COMPONENTS, Package
from obstack.cli.progress import QuietReporter
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.closure import close
from obstack.edges.debian.index import choose
from obstack.edges.debian.packages import DebianPackages

SUITES = ("bookworm", "trixie", "sid")
LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
LOADERS = ("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2")


WRAPPED = {"nginx": "usr/sbin/nginx", "nftables": "usr/sbin/nft"}
"""Programs by component that are started by their own suite's loader."""


@dataclass(frozen=True)
class Distribution:
    """The unpacked programs of one suite below `folder`."""

    suite: str
    folder: Path

    def artifact(self, component: str) -> Path:
        """Return the folder that stands for the component's artifact."""
        return self.folder / component if component in WRAPPED else self.folder / "root"

    def version(self, package: str) -> str:
        """Return the version of the package that was unpacked."""
        (archive,) = (self.folder / "archives").glob(f"{package}_*.deb")
        shown = subprocess.run(
            ["dpkg-deb", "--field", str(archive), "Version"], check=True, capture_output=True, text=True
        )
        return shown.stdout.strip()


def own_programs() -> Path:
    """Return the folder with the programs of this machine's own release and the libraries they need."""
    return distribution(platform.freedesktop_os_release()["VERSION_CODENAME"]).folder / "root"


def distribution(suite: str) -> Distribution:
    """Return the programs of a suite, taking them from the machine's own mirror the first time."""
    # Other packages than last time are other programs.
    key = hashlib.sha256("\n".join(package.name for package in _packages()).encode()).hexdigest()[:12]
    folder = cache_folder("programs") / f"{suite}-{key}"
    done = folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Several test processes may want the same suite at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _download(suite, folder)
            _unpack(folder)
            for component, program in WRAPPED.items():
                _wrap(folder, component, program)
            done.touch()
    return Distribution(suite, folder)


def _packages() -> list[Package]:
    return [package for component in COMPONENTS.values() for package in component.packages]


def _download(suite: str, folder: Path) -> None:
    """Fetch every component's packages with the libraries they need, and the C library, by the product's own apt."""
    cache = ArtifactCache(folder / "cache")
    apt = DebianPackages(folder / "apt", cache, QuietReporter()).apt(suite, own_architecture())
    packages = _packages()
    versions = apt.show([*(package.name for package in packages), "libc6"])
    found = [(package, version) for package in packages if (version := choose(versions, package.name))]
    c_library = choose(versions, "libc6")
    assert c_library is not None
    archives = folder / "archives"
    archives.mkdir(exist_ok=True)
    apt.download([*(version for _, version in close(found, apt.show)), c_library], archives, lambda _: None)


def _unpack(folder: Path) -> None:
    for archive in sorted((folder / "archives").glob("*.deb")):
        target = folder / "libc" if archive.name.startswith("libc6_") else folder / "root"
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True, env={**os.environ, "TZ": "UTC"})


def _wrap(folder: Path, component: str, name: str) -> None:
    """Start a program by its own suite's loader: newer ones need a newer C library than this machine may have."""
    loader = next(folder / "libc" / name for name in LOADERS if (folder / "libc" / name).is_file())
    folders = ":".join(str(folder / part / libraries) for part in ("libc", "root") for libraries in LIBRARY_FOLDERS)
    program = folder / "root" / name
    wrapper = folder / component / name
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join([str(loader), "--library-path", folders, str(program)])
    wrapper.write_text(f'#!/bin/sh\nunset LD_LIBRARY_PATH\nexec {command} "$@"\n')
    wrapper.chmod(0o755)
