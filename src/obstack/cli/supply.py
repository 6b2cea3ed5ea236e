"""Puts together where archives come from on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from obstack.cli.options import Target
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import FRESH_S
from obstack.edges.debian.packages import DebianPackages
from obstack.edges.download import WebDownloads
from obstack.edges.mirror import Mirror
from obstack.edges.releases import Releases
from obstack.model.components import Source
from obstack.model.site import Site
from obstack.operations.lock import Supply
from obstack.ports import Reporter


def cache_folder(target: Target) -> Path:
    """Return the folder of what can be fetched again: $OBSERVABILITY_CACHE, the system's for root, or the user's.

    A private root changes nothing of the system, also when root runs it.
    """
    chosen = os.environ.get("OBSERVABILITY_CACHE")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0 and not target.private:
        return Path("/var/cache/observability")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "observability"


def archive_cache(target: Target) -> ArtifactCache:
    """Given a target, return the cache of archives."""
    return ArtifactCache(cache_folder(target) / "archives")


def make_supply(target: Target, site: Site, reporter: Reporter, *, fresh: bool = False) -> Supply:
    """Given a target and its site, return its sources over the cache; `fresh` reads package indexes anew."""
    folder = cache_folder(target)
    cache = archive_cache(target)
    downloads = WebDownloads(reporter)
    location = site.artifacts.mirror
    mirror = Mirror(location, cache, downloads) if location else None
    debian = DebianPackages(folder / "apt", cache, reporter, max_age_s=0.0 if fresh else FRESH_S)
    return Supply(
        cache=cache,
        mirror=mirror,
        sources={
            Source.DEBIAN: debian,
            Source.RELEASE: Releases(cache, mirror, downloads),
            Source.MIRROR: Releases(cache, mirror, None),
        },
    )
