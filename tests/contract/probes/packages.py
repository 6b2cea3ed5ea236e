"""Programs of this machine's own Debian release, unpacked into a cache outside the checkout. Nothing is installed."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from pathlib import Path

CACHE = Path("/var/cache/observability-tests" if os.geteuid() == 0 else "~/.cache/observability-tests").expanduser()
PACKAGES = (
    "nginx",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
    "prometheus-node-exporter",
    "systemd-journal-remote",
)
NOT_UNPACKED = ("libc6", "libgcc-s1", "gcc-12-base", "gcc-14-base")
KINDS = ("depends", "--recurse", *(f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks")))


def unpacked() -> Path:
    """Return the folder that holds the programs and the libraries they need, filled the first time."""
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    folder = CACHE / "probes" / codename
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _fill(folder)
            (folder / "complete").touch()
    return folder / "root"


def _fill(folder: Path) -> None:
    archives = folder / "archives"
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir()
    options = _apt_options(folder)
    subprocess.run(["apt-get", "-qq", *options, "update"], check=True)
    closure = subprocess.run(
        ["apt-cache", *options, *KINDS, "--no-replaces", "--no-enhances", *PACKAGES],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    names = {line for line in closure if line and line[0].isalnum()}
    wanted = sorted({name for name in names if name.startswith("lib")} - set(NOT_UNPACKED)) + list(PACKAGES)
    subprocess.run(["apt-get", "-qq", *options, "download", *wanted, *_tools(names)], check=True, cwd=archives)
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder / "root")], check=True)


def _tools(names: set[str]) -> list[str]:
    # Debian 13 packs promtool by itself; journalctl is part of systemd.
    shown = subprocess.run(["apt-cache", "show", "promtool"], capture_output=True, text=True, check=False)
    return ["systemd"] + (["promtool"] if "\nPackage: promtool\n" in f"\n{shown.stdout}" else [])


def _apt_options(folder: Path) -> list[str]:
    state = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": state / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "root",
    }
    return [f"--option={name}={value}" for name, value in settings.items()]
