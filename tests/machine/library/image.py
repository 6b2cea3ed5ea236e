"""Images: Debian file trees that machines are made of. Built once, kept outside the checkout, named by their content.

An image is built aside and comes into being by one rename. Each has two kernel locks: its builder holds the one, so
that concurrent builders wait for each other; its users share the other, so that nobody's image is pruned in use.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from machine.library.command import CommandFailed, Running
from machine.library.control_group import group_of_tree
from machine.library.host import CACHE, Mirror, locked, mirror, open_lock, try_lock
from machine.library.overlay import Overlay, remove_tree
from machine.library.sandbox import run_with_network

MINIMAL_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "iproute2",
    "openssh-server",
    "ca-certificates",
    "curl",
    "procps",
    "git",
    "make",
)
"""What a plain server has, and what a newcomer needs to clone a repository and call make."""

# Timers of the packages would start work in the middle of a test.
_QUIET = """
systemctl enable systemd-networkd.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
rm -f /etc/hostname /etc/machine-id /var/lib/dbus/machine-id
apt-get clean
"""
_KEEP_UNUSED_S = 6 * 3600


@dataclass(frozen=True)
class Image:
    """A finished image: its key, and the trees it consists of, topmost first."""

    name: str
    digest: str
    layers: tuple[Path, ...]


class ImageStore:
    """All images in one folder. Images of an earlier key are removed when nobody has used them for some hours."""

    def __init__(self, folder: Path = CACHE / "images") -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def base(self, suite: str) -> Image:
        """Return the minimal image of a Debian suite (`bookworm`, `trixie`), built when absent: some 75 s.

        Raises:
            CommandFailed: the machine's mirror did not yield it.
        """
        source = mirror()

        def build(folder: Path) -> None:
            _bootstrap(suite, source, folder)

        ingredients = [suite, *MINIMAL_PACKAGES, _QUIET, source.sources(suite), source.apt_settings]
        digest = _digest(ingredients)
        return Image(suite, digest, (self._obtain(suite, digest, build) / "tree",))

    def derive(self, base: Image, name: str, key: str, prepare: Callable[[Path], None]) -> Image:
        """Return the image that `prepare` makes of `base`, built when absent.

        `prepare` is given the root of a writable copy, on which it works through the file system and through
        `run_with_network`. `key` says what goes into the image besides the base: equal key, equal image.
        """

        def build(folder: Path) -> None:
            overlay = Overlay(folder / "overlay", base.layers)
            overlay.mount()
            try:
                prepare(overlay.root)
            finally:
                overlay.unmount()
            overlay.changes.rename(folder / "tree")
            overlay.remove()

        digest = _digest([base.digest, key])
        return Image(name, digest, (self._obtain(name, digest, build) / "tree", *base.layers))

    def close(self) -> None:
        """Let go of the images used: from now on they may be pruned."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _obtain(self, name: str, digest: str, build: Callable[[Path], None]) -> Path:
        """Return the image's folder, built when absent, its users' lock shared until `close`."""
        folder = self._folder / f"{name}-{digest}"
        if folder.name not in self._held:
            descriptor = open_lock(_beside(folder, ".lock"))
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            try:
                with locked(_beside(folder, ".building.lock")):
                    if not folder.exists():
                        _build_aside(folder, build)
                os.utime(folder)
            except BaseException:
                os.close(descriptor)
                raise
            self._held[folder.name] = descriptor
            self._prune(name, folder)
        return folder

    def _prune(self, name: str, kept: Path) -> None:
        for lock in self._folder.glob(f"{name}-*.lock"):
            folder = lock.with_suffix("")
            if folder == kept or not _is_key(folder.name.removeprefix(f"{name}-")) or not folder.exists():
                continue
            descriptor = open_lock(lock)  # the lock file stays: whoever waits for it must not wait for a ghost
            if try_lock(descriptor) and time.time() - folder.stat().st_mtime > _KEEP_UNUSED_S:
                remove_tree(_beside(folder, ".partial"))
                folder.rename(_beside(folder, ".partial"))  # half removed must not look like an image
                remove_tree(_beside(folder, ".partial"))
            os.close(descriptor)


def _build_aside(folder: Path, build: Callable[[Path], None]) -> None:
    """Build into a folder beside and rename it. Leftovers of a builder that was killed are removed before."""
    partial = _beside(folder, ".partial")
    group_of_tree(partial).remove()
    remove_tree(partial)
    partial.mkdir(parents=True)
    try:
        build(partial)
    except BaseException:
        remove_tree(partial)
        raise
    partial.rename(folder)


def _bootstrap(suite: str, source: Mirror, folder: Path) -> None:
    tree = folder / "tree"
    packages = f"--include={','.join(MINIMAL_PACKAGES)}"
    group = group_of_tree(folder)
    group.create()
    argv = ["debootstrap", "--variant=minbase", packages, suite, str(tree), source.archive]
    try:
        result = Running(group.entered(argv, "debootstrap"), shown=" ".join(argv)).wait(900)
    finally:
        group.remove()
    if result.code != 0:
        raise CommandFailed(f"debootstrap of {suite} failed", result)
    (tree / "etc/apt/sources.list").write_text(source.sources(suite))
    (tree / "etc/apt/apt.conf.d/90mirror").write_text(source.apt_settings)
    (tree / "etc/resolv.conf").write_text("")  # no resolver: a machine without a way out is told so at once
    run_with_network(tree, ["sh", "-ec", _QUIET])


def _digest(ingredients: list[str]) -> str:
    return hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:16]


def _is_key(text: str) -> bool:
    return len(text) == 16 and set(text) <= set("0123456789abcdef")


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)
