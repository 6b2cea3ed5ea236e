"""Unpacking of verified archives into one folder, so that no member can reach anything outside it.

Members are never handed to a library's own extraction. Each becomes a `Member`; `_Folder` alone writes, and it knows
everything it has written: a path leads only through directories it made itself, never through a link, so what an
archive says about one path cannot redirect another. Links must lead to places inside the folder. Owners, special
permission bits and write permission for others are not taken over: what is unpacked belongs to who unpacks it.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import IO, Final, NoReturn

from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.members import CHUNK, UNREADABLE, UNTOUCHED, Member, members_of, parts_of, refuse_archive
from obstack.agent.wire import ArchiveEntry, ArtifactEntry

FOLDER_MODE: Final = 0o755


@dataclass(frozen=True)
class Limits:
    """How much one artifact may unpack to, so that a hostile archive cannot fill the disk.

    `size` bytes at most, and not more than `ratio` times what the archives have, beside `spare` bytes: programs are
    packed to a quarter or a tenth, bombs to a thousandth.
    """

    members: int = 200_000
    size: int = 8 << 30
    ratio: int = 100
    spare: int = 64 << 20


def unpack_artifact(
    entry: ArtifactEntry, archives: dict[str, str], destination: str, limits: Limits = Limits()
) -> None:
    """Given where each archive lies by its digest, unpack all of them over each other into `destination`.

    `destination` is absent or an empty folder. Every archive is verified before the first byte is written. To bring
    the folder to the disk is left to the caller, and so is removing it after an error. Raises AgentError for a digest
    that differs, an archive that cannot be read, an unsafe member and a crossed limit; OSError when the disk is full.
    """
    with ExitStack() as stack:
        opened = [(archive, stack.enter_context(open(archives[archive.digest], "rb"))) for archive in entry.archives]
        for archive, file in opened:
            _verify(archive, file)
        packed = sum(os.fstat(file.fileno()).st_size for _, file in opened)
        folder = _Folder(destination, replace(limits, size=min(limits.size, limits.spare + limits.ratio * packed)))
        for archive, file in opened:
            _unpack(folder, archive, file)


def _unpack(folder: _Folder, archive: ArchiveEntry, file: IO[bytes]) -> None:
    folder.archive = archive
    try:
        with closing(members_of(archive, file)) as members:
            for member in members:
                folder.put(member)
    except UNREADABLE as error:
        refuse_archive(archive, f"{type(error).__name__}: {error}")
    except OSError as error:
        if error.errno is not None:
            raise
        # gzip and bz2 report damaged data as an OSError that no system call caused.
        refuse_archive(archive, f"{type(error).__name__}: {error}")


def _verify(archive: ArchiveEntry, file: IO[bytes]) -> None:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    file.seek(0)
    if digest.hexdigest() != archive.digest:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="archive-digest-mismatch",
            what=f"The archive {archive.name} is not the one that was locked.",
            where=f"{file.name}: expected SHA-256 {archive.digest}, found {digest.hexdigest()}",
            state=UNTOUCHED,
            do=f"remove {file.name} and run: observability apply",
        )


class _Folder:
    """The destination, and the kind of all that was written to it, by path."""

    def __init__(self, destination: str, limits: Limits) -> None:
        os.makedirs(destination, exist_ok=True)
        os.chmod(destination, FOLDER_MODE)
        if os.listdir(destination):
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="artifact-folder-not-empty",
                what="The folder to unpack into holds something already.",
                where=destination,
                state=UNTOUCHED,
                do=f"remove {destination} and run: observability apply",
            )
        self.destination = destination
        self.limits = limits
        self.archive: ArchiveEntry = ArchiveEntry("", "", 0, "")
        self.kinds: dict[str, str] = {}
        self.size = 0
        self.count = 0

    def put(self, member: Member) -> None:
        """Given a member, write it, or drop it when the archive's `strip` or `only` leaves it out."""
        self.count += 1
        if self.count > self.limits.members:
            self._refuse(member, f"the artifact has more than {self.limits.members} members", "artifact-too-big")
        path = self._path(member, member.name)
        if path is None or not self._wanted(path):
            return
        self._make_parents(member, path)
        if member.kind == "directory":
            self._directory(member, path)
            return
        if self.kinds.get(path) == "directory":
            self._refuse(member, "it would take the place of a folder")
        if member.kind == "file":
            self._file(member, path)
        elif member.kind == "link":
            self._link(member, path)
        elif member.kind == "hardlink":
            self._hardlink(member, path)
        else:
            self._refuse(member, "devices, pipes and sockets are not unpacked")

    def _refuse(self, member: Member, reason: str, code: str = "archive-unsafe") -> NoReturn:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code=code,
            what=f"The archive {self.archive.name} was refused: {reason}.",
            where=f"{self.archive.name}, member {member.name!r}",
            state=UNTOUCHED,
            do="do not use this archive; report it to who publishes it and choose another version",
        )

    def _path(self, member: Member, name: str) -> str | None:
        """Return the path of a member's name inside the folder; None when nothing is left after `strip`."""
        parts = parts_of(name)
        if name.startswith("/") or ".." in parts:
            self._refuse(member, "its path leads out of the folder")
        try:
            name.encode()
        except UnicodeEncodeError:
            self._refuse(member, "its name is not UTF-8")
        if any(ord(character) < 32 or ord(character) == 127 for character in name):
            self._refuse(member, "its name has control characters")
        return "/".join(parts[self.archive.strip :]) or None

    def _wanted(self, path: str) -> bool:
        only = self.archive.only
        return not only or any(path == item or path.startswith(f"{item}/") for item in only)

    def _make_parents(self, member: Member, path: str) -> None:
        parent = ""
        for part in path.split("/")[:-1]:
            parent = posixpath.join(parent, part)
            kind = self.kinds.get(parent)
            if kind is None:
                self._make_directory(parent)
            elif kind != "directory":
                self._refuse(member, f"its path leads through the {kind} {parent!r}")

    def _make_directory(self, path: str) -> None:
        full = os.path.join(self.destination, path)
        os.mkdir(full)
        os.chmod(full, FOLDER_MODE)
        self.kinds[path] = "directory"

    def _directory(self, member: Member, path: str) -> None:
        kind = self.kinds.get(path)
        if kind is None:
            self._make_directory(path)
        elif kind != "directory":
            self._refuse(member, f"it would take the place of a {kind}")

    def _replace(self, path: str) -> str:
        """Make room at `path`, where an earlier member may have put a file or a link; return the full path."""
        full = os.path.join(self.destination, path)
        if path in self.kinds:
            os.unlink(full)
        return full

    def _file(self, member: Member, path: str) -> None:
        full = self._replace(path)
        descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            while member.content is not None and (chunk := member.content.read(CHUNK)):
                self.size += len(chunk)
                if self.size > self.limits.size:
                    self._refuse(member, f"the artifact has more than {self.limits.size} bytes", "artifact-too-big")
                out.write(chunk)
            os.fchmod(out.fileno(), 0o755 if member.mode & 0o111 else 0o644)
        self.kinds[path] = "file"

    def _link(self, member: Member, path: str) -> None:
        """Make a link whose target has `..` at its beginning only: lexically inside is then really inside."""
        target = posixpath.normpath(member.target)
        climbs = target.split("/").count("..")
        if not member.target or "\0" in target or target.startswith("/") or climbs > path.count("/"):
            self._refuse(member, f"the link leads out of the folder, to {member.target!r}")
        os.symlink(target, self._replace(path))
        self.kinds[path] = "link"

    def _hardlink(self, member: Member, path: str) -> None:
        source = self._path(member, member.target)
        if source is None or self.kinds.get(source) != "file":
            self._refuse(member, f"the hard link leads to {member.target!r}, which is not a file of the artifact")
        if source == path:
            return
        os.link(os.path.join(self.destination, source), self._replace(path), follow_symlinks=False)
        self.kinds[path] = "file"
