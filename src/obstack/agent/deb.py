"""The files of a Debian package, decompressed here: dpkg-deb is two processes and two pipes more for each package.

A package is an `ar` archive of three members; the last holds the files, as a tar in one of several compressions. This
knows xz, which Debian takes; for the others there is dpkg-deb.
"""

from __future__ import annotations

import lzma
from typing import IO, Final

MAGIC: Final = b"!<arch>\n"
FIRST: Final = b"debian-binary"
DATA: Final = b"data.tar"
HEADER_BYTES: Final = 60
HEADER_END: Final = b"`\n"
CHUNK: Final = 1 << 16
MEMORY_LIMIT: Final = 256 << 20
"""Room for a dictionary three times as large as that of the strongest setting of xz."""


class Malformed(Exception):
    """The file is no Debian package, or ends before its end."""


class Data:
    """The tar with the files of a package, out of the next `size` bytes of a file that are compressed by xz."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size
        self._rest = b""
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY_LIMIT)

    def read(self, size: int, /) -> bytes:
        """Return some of the next bytes, at most `size`; none at the end. Raises Malformed and lzma.LZMAError."""
        while True:
            if self._xz.eof:
                self._rest = self._xz.unused_data or self._raw()
                if not self._rest:
                    return b""
                # One stream of xz may follow another.
                self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY_LIMIT)
            raw = b""
            if self._xz.needs_input:
                raw, self._rest = self._rest or self._raw(), b""
                if not raw:
                    raise Malformed("it ends in the middle of its files")
            if content := self._xz.decompress(raw, size):
                return content

    def _raw(self) -> bytes:
        raw = self._file.read(min(CHUNK, self._left))
        if not raw and self._left:
            raise Malformed("it ends in the middle of its files")
        self._left -= len(raw)
        return raw


def open_data(file: IO[bytes]) -> Data | None:
    """Given a package from its beginning, return its files as a tar; None when their compression is not known here.

    Raises Malformed.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise Malformed("it is no archive of ar")
    name, size = _member(file)
    if name != FIRST:
        raise Malformed("it does not begin as a Debian package does")
    while not name.startswith(DATA):
        file.seek(size + size % 2, 1)
        name, size = _member(file)
    return Data(file, size) if name == DATA + b".xz" else None


def _member(file: IO[bytes]) -> tuple[bytes, int]:
    """Read the header of a member; return its name and its size."""
    header = file.read(HEADER_BYTES)
    name, size = header[:16].rstrip(b" ").removesuffix(b"/"), header[48:58].rstrip(b" ")
    if len(header) != HEADER_BYTES or header[58:] != HEADER_END or not size.isdigit():
        raise Malformed("one of its members has no header")
    return name, int(size)
