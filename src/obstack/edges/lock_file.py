"""The lock file on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from obstack.catalog.lock import Lock, decode_lock, encode_lock

LOCK_FILE: Final = "artifacts.lock.json"


class LockFile:
    """The lock in the folder of a configuration."""

    def __init__(self, configuration: Path) -> None:
        self.path = configuration / LOCK_FILE

    def read(self) -> Lock:
        """Return the lock; an empty one when there is no file yet. Raises ConfigurationError when it is damaged."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return Lock()
        return decode_lock(content, str(self.path))

    def write(self, lock: Lock) -> bool:
        """Given a lock, make the file say it, by one rename; return False, writing nothing, when it does already."""
        content = encode_lock(lock)
        if self.path.exists() and self.path.read_bytes() == content:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{LOCK_FILE}.", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        return True
