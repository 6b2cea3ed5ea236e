"""Compares two generations: what is added, removed and changed. Pure: manifests in, changes out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from obstack.agent.wire import FileEntry, Manifest


class Kind(StrEnum):
    """What happens to a subject."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class FileChange:
    """A file of the tree that differs. `text` is a unified diff, or None for a secret or what is not text."""

    kind: Kind
    path: str
    secret: bool
    note: str = ""
    text: str | None = None


@dataclass(frozen=True)
class ArtifactChange:
    """A component's binaries that differ; the version is None where there is none."""

    kind: Kind
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class OutwardChange:
    """Something outside the state folder that comes, goes or changes.

    `sort` is `user`, `directory`, `link`, `unit` or `data format`.
    """

    kind: Kind
    sort: str
    subject: str


@dataclass(frozen=True)
class Difference:
    """Everything that differs between two generations."""

    files: tuple[FileChange, ...] = ()
    artifacts: tuple[ArtifactChange, ...] = ()
    outward: tuple[OutwardChange, ...] = ()
    proofs: tuple[OutwardChange, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the generations are equal in all that is compared."""
        return not (self.files or self.artifacts or self.outward or self.proofs)


def decide_difference(
    before: Manifest | None, after: Manifest, contents_before: Mapping[str, bytes], contents_after: Mapping[str, bytes]
) -> Difference:
    """Given two manifests and the contents known by digest, return what differs, each kind in the order of names.

    A secret file is told to differ, never how.
    """
    old = before or Manifest(after.node, after.role, after.manager)
    return Difference(
        files=tuple(_files(old, after, contents_before, contents_after)),
        artifacts=tuple(_artifacts(old, after)),
        outward=(
            *_keyed("user", {user.name: user for user in old.users}, {user.name: user for user in after.users}),
            *_keyed("directory", {d.path: d for d in old.directories}, {d.path: d for d in after.directories}),
            *_keyed("link", {link.path: link for link in old.links}, {link.path: link for link in after.links}),
            *_formats(old, after),
            *_keyed("unit", {unit.name: unit for unit in old.units}, {unit.name: unit for unit in after.units}),
        ),
        proofs=(
            *_keyed("check", {c.name: c for c in old.checks}, {c.name: c for c in after.checks}),
            *_keyed("gate", {g.name: g for g in old.gates}, {g.name: g for g in after.gates}),
        ),
    )


def _files(
    old: Manifest, new: Manifest, contents_before: Mapping[str, bytes], contents_after: Mapping[str, bytes]
) -> Iterable[FileChange]:
    before = {entry.path: entry for entry in old.files}
    after = {entry.path: entry for entry in new.files}
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        secret = any(entry is not None and entry.secret for entry in (was, now))
        text = None
        if not secret:
            text = unified_diff(
                path,
                b"" if was is None else contents_before.get(was.digest),
                b"" if now is None else contents_after.get(now.digest),
            )
        yield FileChange(_kind(was, now), path, secret, _note(was, now), text)


def _note(was: FileEntry | None, now: FileEntry | None) -> str:
    if was is None or now is None:
        return ""
    notes = []
    if was.mode != now.mode:
        notes.append(f"mode {was.mode:04o} becomes {now.mode:04o}")
    if (was.owner, was.group) != (now.owner, now.group):
        notes.append(f"owner {was.owner}:{was.group} becomes {now.owner}:{now.group}")
    if was.secret and was.digest != now.digest:
        notes.append("secret, content not shown")
    return ", ".join(notes)


def unified_diff(path: str, before: bytes | None, after: bytes | None) -> str | None:
    """Given two contents, return their unified diff; None when one is unknown or no text, empty when equal."""
    if before is None or after is None:
        return None
    try:
        was, now = before.decode().splitlines(), after.decode().splitlines()
    except UnicodeDecodeError:
        return None
    return "\n".join(difflib.unified_diff(was, now, f"now/{path}", f"new/{path}", lineterm=""))


def _artifacts(old: Manifest, new: Manifest) -> Iterable[ArtifactChange]:
    before = {artifact.name: artifact for artifact in old.artifacts}
    after = {artifact.name: artifact for artifact in new.artifacts}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None or now is None or was.identity != now.identity:
            yield ArtifactChange(_kind(was, now), name, was.version if was else None, now.version if now else None)


def _formats(old: Manifest, new: Manifest) -> Iterable[OutwardChange]:
    """Yield the data whose format changes: a copy is taken before, or one in the new format is put back."""
    before = {unit.state.directory: unit.state.format for unit in old.units if unit.state}
    for state in (unit.state for unit in new.units):
        was = before.get(state.directory) if state else None
        if state and was and was != state.format:
            yield OutwardChange(Kind.CHANGED, "data format", f"{state.directory}: {was} becomes {state.format}")


def _keyed(sort: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterable[OutwardChange]:
    for subject in sorted(before.keys() | after.keys()):
        if before.get(subject) != after.get(subject):
            yield OutwardChange(_kind(before.get(subject), after.get(subject)), sort, subject)


def _kind(before: object | None, after: object | None) -> Kind:
    if before is None:
        return Kind.ADDED
    return Kind.REMOVED if after is None else Kind.CHANGED
