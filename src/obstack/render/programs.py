"""Where a component's programs are: through the generation in force, and in a staged tree before the switch."""

from __future__ import annotations

from dataclasses import dataclass

from obstack.agent.wire import CheckEntry, InputEntry, UserEntry
from obstack.catalog.artifact import Artifact
from obstack.model.layout import Layout, Manager


@dataclass(frozen=True)
class Programs:
    """The programs of one artifact on one node."""

    layout: Layout
    artifact: Artifact

    @property
    def is_debian(self) -> bool:
        """Whether the artifact is a Debian package, which looks for its data below /usr/share."""
        return any(archive.entry.kind == "deb" for archive in self.artifact.archives)

    @property
    def libraries(self) -> tuple[str, ...]:
        """Folders for the dynamic loader, through the generation in force."""
        return tuple(self.layout.artifact(self.artifact.component, path) for path in self.artifact.libraries)

    @property
    def input(self) -> InputEntry:
        """The artifact as an input of its unit: other binaries need a restart."""
        return InputEntry(f"artifact:{self.artifact.component}", "restart")

    def live(self, name: str) -> str:
        """Given a program's name, return its path through the generation in force."""
        return self.layout.artifact(self.artifact.component, self.artifact.binaries[name])

    def paths(self) -> dict[str, str]:
        """Return the paths of all programs through the generation in force, by name."""
        return {name: self.live(name) for name in self.artifact.binaries}

    def check(self, name: str, program: str, *arguments: str) -> CheckEntry:
        """Given a check's name, its program and arguments, return the check of the staged tree."""
        base = f"{{tree}}/artifacts/{self.artifact.component}"
        folders = ":".join(f"{base}/{path}" for path in self.artifact.libraries)
        return CheckEntry(
            name=name,
            argv=(f"{base}/{self.artifact.binaries[program]}", *arguments),
            environment={"LD_LIBRARY_PATH": folders} if folders else {},
        )


def users(layout: Layout, name: str, *groups: str) -> tuple[UserEntry, ...]:
    """Given a user's name, return the user to make; a private root makes none and runs all as its owner."""
    return (UserEntry(name, groups),) if layout.manager is Manager.SYSTEMD else ()


def owner(layout: Layout, name: str) -> str:
    """Given a user's name, return who owns that user's files on this node: a private root knows only its owner."""
    return name if layout.manager is Manager.SYSTEMD else "root"
