"""What comes in: lines and raw bytes of one descriptor, without the locks and read-ahead of a buffered file."""

from __future__ import annotations

import os
import select

CHUNK = 1 << 16
"""As much as a pipe holds."""


class Inlet:
    """Given a descriptor, read it. One thread at a time may; which one it is may change."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = bytearray()

    def line(self, limit: int) -> bytes:
        """Return the next line with its newline; less at the end of the input, or when it is longer than `limit`."""
        looked = 0
        while (end := self._held.find(b"\n", looked)) < 0 and (looked := len(self._held)) < limit:
            chunk = os.read(self._descriptor, CHUNK)
            if not chunk:
                break
            self._held += chunk
        return self._take(end + 1 if end >= 0 else len(self._held))

    def read(self, size: int, silence_s: float) -> bytes:
        """Return at most `size` bytes, none at the end of the input. Raises TimeoutError when nothing comes so long."""
        if self._held:
            return self._take(min(size, len(self._held)))
        if not select.select([self._descriptor], [], [], silence_s)[0]:
            raise TimeoutError(f"nothing came for {silence_s:.0f} s")
        return os.read(self._descriptor, min(size, CHUNK))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken
