"""Entries of the Journal Export Format, taken out of a stream as `journalctl --output=export` writes it.

Each entry is given the field `OBSERVABILITY_ENTRY`: its place in the journal it comes from. What is sent twice is then
the same to the last byte, and two equal lines of one moment are not.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

FIELD = b"OBSERVABILITY_ENTRY"
"""Whatever a program wrote into this field of its own accord is left out."""

LEFT_OUT = (b"__CURSOR", b"__SEQNUM", b"__SEQNUM_ID", FIELD)
"""Fields that tell of a place in a file: the receiver gives its own, and older ones complain of new ones."""

CURSOR = re.compile(r"s=([0-9a-f]+);i=([0-9a-f]+);")


@dataclass(frozen=True)
class Entry:
    """One entry: where it stands in its journal, and its form for sending."""

    cursor: str
    body: bytes


def place(cursor: str) -> tuple[str, int]:
    """Given a cursor, return the identity of its series of numbers, and the number. Raises ValueError."""
    found = CURSOR.match(cursor)
    if found is None:
        raise ValueError(f"{cursor!r} is no cursor of a journal")
    return found[1], int(found[2], 16)


def take_entries(stream: bytes) -> tuple[list[Entry], bytes]:
    """Given what has come of a stream, return the complete entries in it and the unfinished rest.

    Raises ValueError for what is no entry.
    """
    entries: list[Entry] = []
    position = 0
    while True:
        found = _entry(stream, position)
        if found is None:
            return entries, stream[position:]
        cursor, fields, position = found
        if cursor:
            series, number = place(cursor)
            own = b"%s=%s:%x\n" % (FIELD, series.encode(), number)
            entries.append(Entry(cursor, b"".join((*fields, own, b"\n"))))
        elif fields:
            raise ValueError("an entry came without a cursor")


def _entry(stream: bytes, position: int) -> tuple[str, list[bytes], int] | None:
    """Return the cursor, the fields to send and the end of the entry that begins at `position`; None if unfinished."""
    cursor = ""
    fields: list[bytes] = []
    while True:
        end = stream.find(b"\n", position)
        if end < 0:
            return None
        if end == position:
            return cursor, fields, end + 1
        name, mark, value = stream[position:end].partition(b"=")
        if not mark:  # a value that is no plain line of text: its length, its bytes, and the end of the line
            data = end + 1 + 8
            if len(stream) < data:
                return None
            (length,) = struct.unpack("<Q", stream[end + 1 : data])
            end = data + length
            if len(stream) <= end:
                return None
        if name == b"__CURSOR":
            cursor = value.decode("ascii", "replace")
        elif name not in LEFT_OUT:
            fields.append(stream[position : end + 1])
        position = end + 1
