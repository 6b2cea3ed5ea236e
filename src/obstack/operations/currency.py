"""Whether the lock is what the sources would give today: looked up in their indexes, nothing is fetched or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from obstack.catalog.artifact import Artifact, Newest
from obstack.catalog.components import COMPONENTS, Component
from obstack.catalog.lock import Lock, Platform, satisfies
from obstack.model.components import ArtifactChoice
from obstack.model.site import Site
from obstack.operations.lock import Supply, decide_choice, decide_host_choice, lockable

CURRENT: Final = "current"
NEWER: Final = "newer version"
PARTS: Final = "newer parts"
"""The same version, of which a package was built again, or a library that it brings has a newer one."""
OTHERWISE: Final = "chosen otherwise"
NOT_LOCKED: Final = "not locked"


@dataclass(frozen=True)
class Currency:
    """How one artifact of the lock stands. `place` is its architecture, for hosts `suite/architecture`."""

    place: str
    component: str
    locked: str | None
    newest: str
    standing: str


def find_currency(
    site: Site,
    architectures: Iterable[str],
    platforms: Mapping[Platform, Mapping[str, Component]],
    supply: Supply,
    lock: Lock,
) -> tuple[Currency, ...]:
    """Given the server's architectures and what hosts of each platform need, return how each artifact stands.

    Raises what the sources raise.
    """
    found = []
    for architecture in architectures:
        locked = lock.artifacts(architecture)
        for name in lockable(site):
            component = COMPONENTS[name]
            choice = decide_choice(site, component)
            choice = supply.sources[choice.source].settle(choice)
            newest = supply.sources[choice.source].newest(component, choice, architecture)
            found.append(_stand(architecture, name, locked.get(name), choice, newest))
    for platform, components in platforms.items():
        locked = lock.host_artifacts(platform)
        for name, component in components.items():
            choice = decide_host_choice(site, component, platform.suite)
            newest = supply.sources[choice.source].newest(component, choice, platform.architecture)
            found.append(_stand(platform.key, name, locked.get(name), choice, newest))
    return tuple(found)


def _stand(place: str, name: str, locked: Artifact | None, choice: ArtifactChoice, newest: Newest) -> Currency:
    if locked is None:
        return Currency(place, name, None, newest.version, NOT_LOCKED)
    digests = {archive.entry.digest for archive in locked.archives}
    if not satisfies(locked, choice):
        standing = OTHERWISE
    elif locked.version != newest.version:
        standing = NEWER
    else:
        standing = CURRENT if digests == newest.digests else PARTS
    return Currency(place, name, locked.version, newest.version, standing)
