"""The Journal Export Format: how entries are written so that systemd-journal-remote takes them.

Pure but for reading the boot identity. Every value that is not one plain line of text is sent with its length, so no
content can end an entry or forge a field.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

JOURNAL_TYPE = "application/vnd.fdo.journal"
FIELD_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def entry(fields: Mapping[str, bytes], realtime_us: int, monotonic_us: int, boot: str) -> bytes:
    """Return one entry; raise ValueError for a field name that the journal does not allow."""
    lines = [
        b"__REALTIME_TIMESTAMP=%d\n" % realtime_us,
        b"__MONOTONIC_TIMESTAMP=%d\n" % monotonic_us,
        b"_BOOT_ID=%s\n" % boot.encode(),
    ]
    for name, value in fields.items():
        if not FIELD_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a field name of the journal")
        lines.append(_field(name.encode(), value))
    return b"".join(lines) + b"\n"


def boot_identity() -> str:
    """Return the identity of the running boot, 32 hexadecimal digits."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip().replace("-", "")


def _field(name: bytes, value: bytes) -> bytes:
    if all(byte >= 0x20 and byte != 0x7F for byte in value.replace(b"\t", b" ")) and _is_text(value):
        return b"%s=%s\n" % (name, value)
    return b"%s\n%s%s\n" % (name, struct.pack("<Q", len(value)), value)


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
