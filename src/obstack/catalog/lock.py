"""The lock file: which artifact of which digest is deployed, on the server and on hosts of every platform.

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
from obstack.model.scalars import NAME_PATTERN, SUITE_PATTERN, VERSION_PATTERN

LOCK_VERSION: Final = 1
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class Platform:
    """What decides which packages fit a host: its suite and its architecture, by their Debian names."""

    suite: str
    architecture: str

    @property
    def key(self) -> str:
        """Return its key in the lock: `trixie/amd64`."""
        return f"{self.suite}/{self.architecture}"


@dataclass(frozen=True)
class Lock:
    """The artifacts that were resolved.

    `architectures` has the server's by architecture, then by component; `hosts` has those of the hosts by
    `suite/architecture`, then by name.
    """

    architectures: dict[str, dict[str, Artifact]] = field(default_factory=dict)
    version: int = LOCK_VERSION
    hosts: dict[str, dict[str, Artifact]] = field(default_factory=dict)

    def artifacts(self, architecture: str) -> Mapping[str, Artifact]:
        """Given an architecture, return its artifacts by component; none when it was never resolved."""
        return self.architectures.get(architecture, {})

    def updated(self, architecture: str, artifacts: Mapping[str, Artifact]) -> Lock:
        """Given one architecture's artifacts, return the lock with them in place of what it had for it."""
        return replace(self, architectures={**self.architectures, architecture: dict(artifacts)})

    def host_artifacts(self, platform: Platform) -> Mapping[str, Artifact]:
        """Given a platform, return the artifacts of its hosts by name; none when it was never resolved."""
        return self.hosts.get(platform.key, {})

    def updated_hosts(self, platform: Platform, artifacts: Mapping[str, Artifact]) -> Lock:
        """Given one platform's artifacts, return the lock with them in place of what it had for it."""
        return replace(self, hosts={**self.hosts, platform.key: dict(artifacts)})


def satisfies(artifact: Artifact, choice: ArtifactChoice) -> bool:
    """Given a locked artifact and a settled choice, return whether it is what the choice asks for."""
    if artifact.source != choice.source or (choice.suite is not None and artifact.suite != choice.suite):
        return False
    return choice.version is None or matches(artifact.version, choice.version)


def encode_lock(lock: Lock) -> bytes:
    """Given a lock, return the content of its file."""
    data = wire.encode(lock)
    if not lock.hosts:  # the lock of a server alone stays what it was before there were hosts
        del data["hosts"]
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


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
    except (ValueError, RecursionError) as error:
        raise _damaged(file, str(error)) from error
    if isinstance(data, dict) and data.get("version", LOCK_VERSION) != LOCK_VERSION:
        raise _damaged(file, f"version {data['version']!r} is not known, this program writes version {LOCK_VERSION}")
    try:
        lock = wire.decode(Lock, data, "lock")
    except wire.WireError as error:
        raise _damaged(file, str(error)) from error
    for architecture, artifacts in lock.architectures.items():
        if unknown := sorted(set(artifacts) - set(COMPONENTS)):
            raise _damaged(file, f"architectures.{architecture}: component {unknown[0]!r} is not known")
        _verify(file, f"architectures.{architecture}", architecture, artifacts)
    for key, artifacts in lock.hosts.items():
        suite, _, architecture = key.partition("/")
        if not re.fullmatch(SUITE_PATTERN, suite):
            raise _damaged(file, f"hosts: {key!r} is not of the form suite/architecture")
        _verify(file, f"hosts.{key}", architecture, artifacts)
    return lock


def _verify(file: str, section: str, architecture: str, artifacts: Mapping[str, Artifact]) -> None:
    if architecture not in ARCHITECTURES:
        raise _damaged(file, f"{section}: architecture {architecture!r} is not known")
    for name, artifact in artifacts.items():
        place = f"{section}.{name}"
        if artifact.component != name or not re.fullmatch(NAME_PATTERN, name):
            raise _damaged(file, f"{place}: component {artifact.component!r} stands in a wrong place")
        if artifact.architecture != architecture:
            raise _damaged(file, f"{place}: is of architecture {artifact.architecture!r}")
        if not re.fullmatch(VERSION_PATTERN, artifact.version):
            raise _damaged(file, f"{place}: {artifact.version!r} is not a version")
        if artifact.source not in set(Source):
            raise _damaged(file, f"{place}: source {artifact.source!r} is not known")
        for archive in artifact.archives:
            if not _DIGEST.fullmatch(archive.entry.digest):
                raise _damaged(file, f"{place}: {archive.entry.name}: the digest is not a SHA-256")


def _damaged(file: str, message: str, line: int = 0, column: int = 0) -> ConfigurationError:
    remedy = f"restore {file} from version control, or remove it and run: observability lock"
    return ConfigurationError([Problem(file, line, column, "artifacts lock", message, remedy)], do="observability lock")
