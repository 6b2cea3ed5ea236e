"""A mirror of the site's own: a folder or a web server with archives as `sha256/<digest>`, as the cache has them."""

from __future__ import annotations

import shutil
from pathlib import Path

from obstack.ports import ArchiveCache, Downloads


class Mirror:
    """The mirror at `location`, a folder or an http or https address."""

    def __init__(self, location: str, cache: ArchiveCache, downloads: Downloads) -> None:
        self._location = location.rstrip("/")
        self._cache = cache
        self._downloads = downloads

    def fetch(self, name: str, digest: str) -> Path | None:
        """Given an archive, put it into the cache and return its file, or None when the mirror lacks it.

        Raises Unreachable when the mirror cannot be reached, ChangeFailed when it holds something else.
        """
        place = f"{self._location}/sha256/{digest}"
        with self._cache.workspace() as folder:
            file = folder / name
            if not self._copy(place, file):
                return None
            return self._cache.take(file, name=name, digest=digest, origin=place)

    def _copy(self, place: str, file: Path) -> bool:
        if place.startswith(("http://", "https://")):
            return self._downloads.fetch(place, file, f"Fetching {file.name} from the mirror")
        try:
            shutil.copyfile(place, file)
        except FileNotFoundError:
            return False
        return True
