"""Reading of archives: each thing in one becomes a `Member`, whatever kind of archive it is.

Nothing is written here, and nothing is believed: who writes members judges their names, links and sizes (unpack.py).
"""

from __future__ import annotations

import lzma
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, Final, NoReturn, Protocol, cast

from obstack.agent import deb
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.wire import ArchiveEntry

CHUNK: Final = 1 << 20
TAR_BUFFER: Final = 1 << 16
"""What is read of a tar at once: each member's header copies what is left of it."""
ELF: Final = b"\x7fELF"
UNREADABLE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    deb.Malformed,
    EOFError,
    # zipfile reports encrypted members as RuntimeError, unknown compression as its subclass NotImplementedError.
    RuntimeError,
    # Numbers, names and offsets that are none.
    ValueError,
    LookupError,
    OverflowError,
)
"""What the readers of archives raise for one that is damaged, or was made to damage them."""
PADDING_READS: Final = 16
"""tar pads to ten thousand bytes; a stream without end must not be read to its end."""
UNTOUCHED: Final = "nothing outside the staging folder was touched"
EXTENDED: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
"""Kinds of headers whose content belongs to the header itself."""
HEADER_LIMIT: Final = 1 << 20
"""A header may announce more of itself, which tarfile reads into memory: names have some thousand characters."""


class Content(Protocol):
    """Something to read bytes from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""


@dataclass(frozen=True)
class Member:
    """One thing in an archive. `kind` is directory, file, link or hardlink; `target` is where a link leads.

    `content` reads a file once, before the next member is asked for.
    """

    name: str
    kind: str
    mode: int
    target: str = ""
    content: Content | None = None


def members_of(archive: ArchiveEntry, file: IO[bytes]) -> Generator[Member, None, None]:
    """Given a verified archive, yield its members in order."""
    if archive.kind == "deb":
        yield from _deb_members(archive, file)
    elif archive.kind == "tar":
        yield from _tar_members(file)
    elif archive.kind == "zip":
        yield from _zip_members(file)
    elif archive.kind == "file":
        yield Member(archive.path or archive.name, "file", 0o755, content=file)
    else:
        refuse_archive(archive, f"archives of kind {archive.kind!r} are not known")


def refuse_archive(archive: ArchiveEntry, reason: str) -> NoReturn:
    """Raise AgentError `archive-unreadable` for an archive, with the reason."""
    raise AgentError(
        exit_code=CHANGE_FAILED,
        code="archive-unreadable",
        what=f"The archive {archive.name} could not be read.",
        where=f"{archive.name}: {reason}",
        state=UNTOUCHED,
        do=f"observability lock --update, or name another version of what {archive.name} belongs to",
    )


def _deb_members(archive: ArchiveEntry, file: IO[bytes]) -> Iterator[Member]:
    """Yield what the package would install."""
    data = deb.open_data(file)
    if data is not None:
        # Of a stream that goes forwards only, nothing but `read` is asked.
        with tarfile.open(fileobj=cast(IO[bytes], data), mode="r|", bufsize=TAR_BUFFER, tarinfo=_Header) as tar:
            yield from _from_tar(tar, absolute_links=True)
        # Behind the tar's end there is padding, and then the sums that xz keeps.
        if any(len(data.read(TAR_BUFFER)) == 0 for _ in range(PADDING_READS)):
            return
        refuse_archive(archive, "there is more behind the end of its files")
    file.seek(0)
    yield from _foreign_deb_members(archive, file)


def _foreign_deb_members(archive: ArchiveEntry, file: IO[bytes]) -> Iterator[Member]:
    """Yield what a package of any other compression would install, which dpkg-deb undoes."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", "/dev/stdin"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101 - both are pipes
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|", bufsize=TAR_BUFFER, tarinfo=_Header) as tar:
                yield from _from_tar(tar, absolute_links=True)
        except (tarfile.TarError, EOFError):
            process.stdout.close()
            if process.wait() == 0:
                raise
        while not process.stdout.closed and process.stdout.read(CHUNK):
            pass  # the padding behind the archive's end, so that dpkg-deb can finish
        problem = process.stderr.read().decode(errors="replace").strip()
    if process.returncode != 0:
        refuse_archive(archive, f"dpkg-deb ended with {process.returncode}: {problem}")


class _Header(tarfile.TarInfo):
    """A header that is refused where tarfile would believe it: endless ones, and those that lead back."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """Return the header of a member. Raises tarfile.ReadError."""
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in EXTENDED and info.size > HEADER_LIMIT):
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


def _tar_members(file: IO[bytes]) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r:*", tarinfo=_Header) as tar:
        yield from _from_tar(tar, absolute_links=False)


def _from_tar(tar: tarfile.TarFile, absolute_links: bool) -> Iterator[Member]:
    for info in tar:
        if info.isdir():
            yield Member(info.name, "directory", info.mode)
        elif info.issym():
            target = info.linkname
            if absolute_links and target.startswith("/"):
                # In a package the root is that of the system it was made for, which here is the folder itself.
                depth = len(parts_of(info.name)) - 1
                target = "../" * depth + target.lstrip("/")
            yield Member(info.name, "link", 0o777, target=target)
        elif info.islnk():
            yield Member(info.name, "hardlink", info.mode, target=info.linkname)
        elif info.isreg():
            yield Member(info.name, "file", info.mode, content=tar.extractfile(info))
        else:
            yield Member(info.name, "special", info.mode)


def _zip_members(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as bundle:
        for info in bundle.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                yield Member(info.filename, "directory", mode)
            elif stat.S_ISLNK(mode):
                with bundle.open(info) as content:
                    target = content.read(4096).decode(errors="replace")
                yield Member(info.filename, "link", mode, target=target)
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with bundle.open(info) as content:
                    head = content.read(len(ELF))
                    # Some projects zip their programs without the executable bit.
                    executable = 0o755 if head == ELF else mode
                    yield Member(info.filename, "file", executable, content=_Prefixed(head, content))
            else:
                yield Member(info.filename, "special", mode)


class _Prefixed:
    """A stream of which the first bytes were already read."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`."""
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._rest.read(size)


def parts_of(name: str) -> list[str]:
    """Given the name of a member, return the names on its way."""
    return [part for part in name.split("/") if part not in ("", ".")]
