"""From the configuration to what a node must be: the one pipeline that every verb uses."""

from __future__ import annotations

from dataclasses import dataclass

from obstack.agent import wire
from obstack.model.site import Site
from obstack.ports import Contents


@dataclass(frozen=True)
class Desired:
    """What a node must be: the site it comes from, the manifest, and where its contents are had from."""

    site: Site
    manifest: wire.Manifest
    contents: Contents
