"""Where what came from the network is kept between runs: outside the checkout, so that a second run fetches nothing."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return the folder for one kind of thing."""
    home = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    return Path(os.environ.get("OBSERVABILITY_TESTS_CACHE") or home / "observability-tests") / name
