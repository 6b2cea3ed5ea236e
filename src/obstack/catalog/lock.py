"""The lock file: which artifact of which digest is deployed, by architecture and component.

It is readable JSON with sorted keys, so that a change of it is reviewed line by line. Decoding is strict: what is
missing, unknown or of the wrong type is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from obstack.agent import wire
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import ARCHITECTURES, COMPONENTS
from obstack.catalog.versions import matches
from obstack.errors import ConfigurationError, Problem
from obstack.model.components import ArtifactChoice, Source

LOCK_VERSION: Final = 1
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Lock:
    """The artifacts that were resolved: by architecture, then by component."""

    architectures: dict[str, dict[str, Artifact]] = field(default_factory=dict)
    version: int = LOCK_VERSION

    def artifacts(self, architecture: str) -> Mapping[str, Artifact]:
        """Given an architecture, return its artifacts by component; none when it was never resolved."""
        return self.architectures.get(architecture, {})

    def updated(self, architecture: str, artifacts: Mapping[str, Artifact]) -> Lock:
        """Given one architecture's artifacts, return the lock with them in place of what it had for it."""
        return replace(self, architectures={**self.architectures, architecture: dict(artifacts)})


def satisfies(artifact: Artifact, choice: ArtifactChoice) -> bool:
    """Given a locked artifact and a settled choice, return whether it is what the choice asks for."""
    if artifact.source != choice.source or (choice.suite is not None and artifact.suite != choice.suite):
        return False
    return choice.version is None or matches(artifact.version, choice.version)


def encode_lock(lock: Lock) -> bytes:
    """Given a lock, return the content of its file."""
    return (json.dumps(wire.encode(lock), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def decode_lock(content: bytes, file: str) -> Lock:
    """Given the content of the lock file `file`, return the lock.

    Raises ConfigurationError when it is no lock of this version, naming the place.
    """
    try:
        data: Any = json.loads(content)
    except json.JSONDecodeError as error:
        raise _damaged(file, error.msg, error.lineno, error.colno) from error
    except UnicodeDecodeError as error:
        raise _damaged(file, "it is not UTF-8") from error
    if isinstance(data, dict) and data.get("version", LOCK_VERSION) != LOCK_VERSION:
        raise _damaged(file, f"version {data['version']!r} is not known, this program writes version {LOCK_VERSION}")
    try:
        lock = wire.decode(Lock, data, "lock")
    except wire.WireError as error:
        raise _damaged(file, str(error)) from error
    for architecture, artifacts in lock.architectures.items():
        _verify_names(file, architecture, artifacts)
    return lock


def _verify_names(file: str, architecture: str, artifacts: Mapping[str, Artifact]) -> None:
    if architecture not in ARCHITECTURES:
        raise _damaged(file, f"architecture {architecture!r} is not known")
    for name, artifact in artifacts.items():
        place = f"architectures.{architecture}.{name}"
        if name not in COMPONENTS or artifact.component != name:
            raise _damaged(file, f"{place}: component {artifact.component!r} is not known or stands in a wrong place")
        if artifact.architecture != architecture:
            raise _damaged(file, f"{place}: is of architecture {artifact.architecture!r}")
        if artifact.source not in set(Source):
            raise _damaged(file, f"{place}: source {artifact.source!r} is not known")
        for archive in artifact.archives:
            if not _DIGEST.fullmatch(archive.entry.digest):
                raise _damaged(file, f"{place}: {archive.entry.name}: the digest is not a SHA-256")


def _damaged(file: str, message: str, line: int = 0, column: int = 0) -> ConfigurationError:
    remedy = f"restore {file} from version control, or remove it and run: observability lock"
    return ConfigurationError([Problem(file, line, column, "artifacts lock", message, remedy)], do="observability lock")
