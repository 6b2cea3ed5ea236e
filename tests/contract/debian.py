"""Real programs of three Debian suites, unpacked into a cache outside the checkout. Nothing is installed."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

CACHE = Path("/var/cache/observability-tests/contract")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = (
    "prometheus",
    "promtool",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "prometheus-blackbox-exporter",
    "nginx",
)
NGINX_LIBRARIES = ("libcrypt1", "libpcre2-8-0", "zlib1g", "libc6")
LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
LOADERS = ("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2")


SUITES = ("bookworm", "trixie", "sid")


@dataclass(frozen=True)
class Distribution:
    """The unpacked programs of one suite below `folder`."""

    suite: str
    folder: Path

    def artifact(self, component: str) -> Path:
        """Return the folder that stands for the component's artifact."""
        return self.folder / "nginx" if component == "nginx" else self.folder / "root"

    def version(self, package: str) -> str:
        """Return the version of the package that was unpacked."""
        (archive,) = (self.folder / "archives").glob(f"{package}_*.deb")
        shown = subprocess.run(
            ["dpkg-deb", "--field", str(archive), "Version"], check=True, capture_output=True, text=True
        )
        return shown.stdout.strip()


def distribution(suite: str) -> Distribution:
    """Return the programs of a suite, taking them from the machine's own mirror the first time."""
    folder = CACHE / suite
    done = folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Several test processes may want the same suite at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _download(suite, folder)
            _unpack(folder)
            _wrap_nginx(folder)
            done.touch()
    return Distribution(suite, folder)


def _mirror() -> str:
    shown = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in shown.stdout.splitlines():
        address, *origin = line.split()
        if origin == ["Debian", "Debian"]:
            return address
    raise AssertionError("this machine has no Debian mirror among its apt sources")


def _download(suite: str, folder: Path) -> None:
    state, archives = folder / "apt", folder / "archives"
    for path in (state / "lists/partial", state / "cache/archives/partial", archives):
        path.mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    status = state / "status"
    status.touch()
    options = {
        "Dir::State": state,
        "Dir::State::status": status,
        "Dir::Cache": state / "cache",
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "APT::Sandbox::User": "root",
    }
    base = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    subprocess.run([*base, "update"], check=True)
    cache = ["apt-cache", *base[2:]]
    shown = subprocess.run([*cache, "pkgnames"], check=True, capture_output=True, text=True)
    known = set(shown.stdout.split())
    depends = subprocess.run([*cache, "depends", "nginx"], check=True, capture_output=True, text=True).stdout
    crypto = [word for word in ("libssl3", "libssl3t64", "libssl4") if f"Depends: {word}\n" in depends]
    wanted = [name for name in (*PACKAGES, *NGINX_LIBRARIES) if name in known]
    subprocess.run([*base, "download", *wanted, *crypto], check=True, cwd=archives)


def _unpack(folder: Path) -> None:
    for archive in sorted((folder / "archives").glob("*.deb")):
        target = folder / "libc" if archive.name.startswith("libc6_") else folder / "root"
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True, env={**os.environ, "TZ": "UTC"})


def _wrap_nginx(folder: Path) -> None:
    """Start nginx by its own suite's loader: newer ones need a newer C library than this machine may have."""
    loader = next(folder / "libc" / name for name in LOADERS if (folder / "libc" / name).is_file())
    folders = ":".join(str(folder / part / name) for part in ("libc", "root") for name in LIBRARY_FOLDERS)
    program = folder / "root/usr/sbin/nginx"
    wrapper = folder / "nginx/usr/sbin/nginx"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join([str(loader), "--library-path", folders, str(program)])
    wrapper.write_text(f'#!/bin/sh\nunset LD_LIBRARY_PATH\nexec {command} "$@"\n')
    wrapper.chmod(0o755)
