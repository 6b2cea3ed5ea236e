"""Copies of a file tree that cost nothing: overlay mounts, and taking them away again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from machine.library.command import call


class Overlay:
    """A writable view of layers, kept in a folder: changes in `changes`, the view itself at `root` while mounted."""

    def __init__(self, folder: Path, layers: Sequence[Path]) -> None:
        """`layers` are the trees below, topmost first."""
        self.folder = folder
        self.root = folder / "root"
        self.changes = folder / "changes"
        self._layers = layers

    def mount(self) -> None:
        """Mount the view; earlier changes in the folder are seen again."""
        work = self.folder / "work"
        for path in (self.root, self.changes, work):
            path.mkdir(parents=True, exist_ok=True)
        lower = ":".join(str(layer) for layer in self._layers)
        options = f"lowerdir={lower},upperdir={self.changes},workdir={work}"
        call(["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)])

    def unmount(self) -> None:
        """Unmount the view; the changes stay."""
        unmount_below(self.folder)

    def remove(self) -> None:
        """Throw the view and its changes away."""
        remove_tree(self.folder)


def unmount_below(folder: Path) -> None:
    """Unmount everything mounted in the folder, innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if Path(point).is_relative_to(folder):
            call(["umount", "--lazy", point])


def remove_tree(folder: Path) -> None:
    """Remove a folder and what it holds; mounts in it are taken away first, never emptied. Absent is fine."""
    unmount_below(folder)
    if folder.exists():
        shutil.rmtree(folder)
