"""Building a generation beside the one in force: contents, artifacts, then the tree, which appears by one rename.

The tree holds real files, not links into the store: a hand edit through /etc changes the tree only, and the store still
has what the file must be. Making a tree whole again is the same work as making it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping

from obstack.agent import durable, wire
from obstack.agent.faults import ROLLBACK_FAILED, AgentError
from obstack.agent.machine import Machine
from obstack.agent.paths import Paths
from obstack.agent.store import PARTIAL, file_digest

FOLDER_MODE = 0o755
"""Of every folder of a tree; what must not be read by all is a file of its own mode."""


def load_manifest(machine: Machine, identity: str) -> wire.Manifest:
    """Return the manifest of a generation on this machine, verified by its identity.

    Raises AgentError `generation-missing` when it is not here or damaged.
    """
    for path in (machine.paths.manifest(identity), machine.store.blob_path(identity)):
        try:
            with open(path, "rb") as stream:
                manifest = wire.decode(wire.Manifest, wire.load(stream.read()))
        except (FileNotFoundError, ValueError):
            continue  # the other copy decides
        if manifest.identity == identity:
            return manifest
    raise AgentError(
        exit_code=ROLLBACK_FAILED,
        code="generation-missing",
        what=f"Generation {identity[:12]} is not on this machine, or its manifest is damaged.",
        where=machine.paths.manifest(identity),
        do="observability uninstall    (data stay), then set it up again"
        if identity == machine.current()
        else "observability generations list    and choose another",
    )


def load_current(machine: Machine) -> wire.Manifest | None:
    """Return the manifest in force, or None when there is none. Raises AgentError `generation-missing`."""
    identity = machine.current()
    return load_manifest(machine, identity) if identity else None


def contents(machine: Machine, manifest: wire.Manifest) -> None:
    """Bring everything the manifest refers to into the store, asking for what is not there. Raises AgentError."""
    store = machine.store
    store.prepare()
    _fetch(machine, {manifest.key: wire.KEY_SIZE} if store.key(manifest) is None else {}, {})
    keys = {file.digest: _key_of(file, store.key(manifest)) or b"" for file in manifest.files}
    sizes = {file.digest: file.size for file in manifest.files}
    _fetch(machine, {name: sizes[name] for name, key in keys.items() if not store.has_blob(name, key)}, keys)
    for artifact in manifest.artifacts:
        if not store.has_artifact(artifact.identity):
            machine.event("stage", "progress", f"unpacking {artifact.name} {artifact.version}", artifact=artifact.name)
            archives = {archive.digest: archive.size for archive in artifact.archives}
            paths = dict(_received(machine, archives))
            with machine.interrupts.region():
                store.put_artifact(artifact, paths)
            durable.remove_tree(machine.paths.scratch)
    durable.remove_tree(machine.paths.scratch)


def _fetch(machine: Machine, missing: dict[str, int], keys: Mapping[str, bytes]) -> None:
    if missing:
        for digest, path in _received(machine, missing):
            with open(path, "rb") as stream:
                machine.store.put_blob(digest, stream.read(), keys.get(digest, b""))


def _key_of(file: wire.FileEntry, key: bytes | None) -> bytes | None:
    """Return the key of a file's digest: that of the manifest for a secret one, none for the others."""
    return key if file.secret else b""


def _received(machine: Machine, wanted: dict[str, int]) -> Iterator[tuple[str, str]]:
    folder = os.path.join(machine.paths.scratch, "incoming")
    durable.make_directory(machine.paths.scratch, 0o700)
    durable.make_directory(folder, 0o700)
    with machine.interrupts.region(), durable.explained(folder):
        machine.receive(wanted, folder)
    for digest in wanted:
        yield digest, os.path.join(folder, digest)


def build_tree(machine: Machine, manifest: wire.Manifest) -> str:
    """Make the generation's tree, whole, and return its path. One that is there already is made whole in place.

    Files belong to root until `own_tree`: their users may not exist yet. Raises AgentError.
    """
    tree = machine.paths.generation(manifest.identity)
    body = manifest.body
    if not machine.store.has_blob(manifest.identity):
        machine.store.put_blob(manifest.identity, body)
    if os.path.isdir(tree):
        mend_tree(machine, manifest)
        return tree
    partial = tree + PARTIAL
    durable.remove_tree(partial)
    durable.make_directory(partial, 0o755)
    key = machine.store.key(manifest)
    for file in manifest.files:
        _write(machine, partial, file, key)
    for artifact in manifest.artifacts:
        _link_artifact(partial, artifact)
    durable.write_file(os.path.join(partial, "manifest.json"), body, 0o600)
    # Crash here: a `.partial` folder, which recovery sweeps.
    durable.crash_point("tree")
    durable.rename(partial, tree)
    # Crash here: a whole generation that nothing refers to; the next apply of it finds it, a prune removes it.
    durable.crash_point("tree-renamed")
    return tree


def mend_tree(machine: Machine, manifest: wire.Manifest, aside: str | None = None) -> None:
    """Make an existing tree what the manifest says, from the store. What is whole is not touched.

    What a hand changed or added is kept below folder `aside` when one is given. Raises AgentError.
    """
    tree, key = machine.paths.generation(manifest.identity), machine.store.key(manifest)
    durable.make_directory(tree, 0o755)
    for name in unexpected_files(tree, manifest):
        _set_aside(tree, name, aside)
        durable.remove(os.path.join(tree, name))
    for file in manifest.files:
        difference = file_difference(tree, file, key)
        if difference in ("file-changed", "file-missing"):
            _set_aside(tree, file.path, aside)
            _make_room(os.path.join(tree, file.path))
            # Crash here: the file is as it was, or as it must be; whoever comes next compares again.
            durable.crash_point("mend-file")
            _write(machine, tree, file, key)
    for artifact in manifest.artifacts:
        if not artifact_linked(tree, artifact):
            _link_artifact(tree, artifact)
    body = manifest.body
    if _read(os.path.join(tree, "manifest.json")) != body:
        durable.write_file(os.path.join(tree, "manifest.json"), body, 0o600)


def own_tree(machine: Machine, manifest: wire.Manifest) -> None:
    """Give every folder and file of the tree its mode and owner, as far as they differ. Raises AgentError."""
    tree, key = machine.paths.generation(manifest.identity), machine.store.key(manifest)
    for folder in folders(manifest):
        if folder_difference(tree, folder):
            durable.set_attributes(os.path.join(tree, folder), FOLDER_MODE, "root", "root")
    for file in manifest.files:
        if file_difference(tree, file, key, attributes=True):
            # Crash here: some files have their owner already; the next run gives the others theirs.
            durable.crash_point("own-file")
            durable.set_attributes(os.path.join(tree, file.path), file.mode, file.owner, file.group)


def file_difference(tree: str, file: wire.FileEntry, key: bytes | None, attributes: bool = False) -> str | None:
    """Return the kind of drift of one file (see wire.Drift), or None. Its content is only read when its size fits.

    A secret file is known by the manifest's `key`; where that is lost (None), it counts as changed. With `attributes`,
    mode and owner count as well; an ordinary user's files all belong to it, so owners do not count.
    """
    path = os.path.join(tree, file.path)
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "file-missing"
    own = _key_of(file, key)
    if not stat.S_ISREG(status.st_mode) or status.st_size != file.size or own is None:
        return "file-changed"
    if _digest(path, own) != file.digest:
        return "file-changed"
    if attributes and stat.S_IMODE(status.st_mode) != file.mode:
        return "mode-changed"
    if attributes and not owned(status, file.owner, file.group, path):
        return "owner-changed"
    return None


def folders(manifest: wire.Manifest) -> list[str]:
    """Return the folders that the files of a generation are in, outermost first."""
    found = {folder for file in manifest.files for folder in itertools.accumulate(file.path.split("/")[:-1], _below)}
    return sorted(found)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}"


def folder_difference(tree: str, folder: str) -> str | None:
    """Return the kind of drift of one folder, or None: services must get to their files, and write none there.

    One that is gone, or is no folder any more, is told by the files in it.
    """
    path = os.path.join(tree, folder)
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    if stat.S_IMODE(status.st_mode) != FOLDER_MODE:
        return "mode-changed"
    return None if owned(status, "root", "root", path) else "owner-changed"


def owned(status: os.stat_result, owner: str, group: str, path: str) -> bool:
    """Tell whether something belongs to this owner and group; an unknown name owns nothing."""
    try:
        ids = durable.identifiers(owner, group, path)
    except AgentError:
        return False
    return ids is None or ids == (status.st_uid, status.st_gid)


def unexpected_files(tree: str, manifest: wire.Manifest) -> list[str]:
    """Return what is in the tree's etc/ and units/ and not in the manifest: files and links, by tree path."""
    known = {file.path for file in manifest.files}
    found = []
    for top in ("etc", "units"):
        for base, folders, files in os.walk(os.path.join(tree, top)):
            links = [name for name in folders if os.path.islink(os.path.join(base, name))]
            for name in (*files, *links):
                path = os.path.relpath(os.path.join(base, name), tree)
                if path not in known:
                    found.append(path)
    return sorted(found)


def artifact_link(artifact: wire.ArtifactEntry) -> str:
    """Return what the tree's link to an artifact says."""
    return f"../../../store/artifacts/{artifact.identity}"


def artifact_linked(tree: str, artifact: wire.ArtifactEntry) -> bool:
    """Tell whether the tree's link to an artifact is as it must be."""
    try:
        return os.readlink(os.path.join(tree, "artifacts", artifact.name)) == artifact_link(artifact)
    except OSError:
        return False


def _write(machine: Machine, tree: str, file: wire.FileEntry, key: bytes | None) -> None:
    path = os.path.join(tree, file.path)
    durable.make_directory(os.path.dirname(path), 0o755)
    # Its owner may not exist yet: until own_tree it is root's, with no more rights than it will have.
    durable.write_file(path, machine.store.read_blob(file.digest, _key_of(file, key)), file.mode)


def _link_artifact(tree: str, artifact: wire.ArtifactEntry) -> None:
    durable.make_directory(os.path.join(tree, "artifacts"), 0o755)
    durable.replace_link(os.path.join(tree, "artifacts", artifact.name), artifact_link(artifact))


def _set_aside(tree: str, name: str, aside: str | None) -> None:
    source = os.path.join(tree, name)
    if aside is None or not os.path.isfile(source) or os.path.islink(source):
        return
    target = os.path.join(aside, name)
    durable.make_directory(os.path.dirname(target), 0o700)
    durable.copy_file(source, target, 0o600)


def _make_room(path: str) -> None:
    """Remove a folder that took a file's place. What was in it is gone by then, as files that nobody expected."""
    if os.path.isdir(path) and not os.path.islink(path):
        durable.remove_tree(path)


def _digest(path: str, key: bytes) -> str:
    with open(path, "rb") as stream:
        return file_digest(stream, key)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def generations(paths: Paths) -> Iterable[str]:
    """Return the identities of all whole generations on this machine, sorted."""
    try:
        names = os.listdir(paths.generations)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if not name.endswith(PARTIAL) and not name.startswith("."))


def discard_tree(machine: Machine, identity: str) -> None:
    """Remove a generation's tree: first its name goes, then its content. Raises AgentError."""
    tree = machine.paths.generation(identity)
    if os.path.isdir(tree):
        # Crash here: the generation is whole, or it is a `.partial` folder that recovery sweeps.
        durable.crash_point("discard-tree")
        durable.rename(tree, tree + PARTIAL)
        durable.remove_tree(tree + PARTIAL)


def free_scratch(machine: Machine, name: str) -> str:
    """Make an empty private folder in the working space and return its path. Raises AgentError."""
    folder = os.path.join(machine.paths.scratch, name)
    shutil.rmtree(folder, ignore_errors=True)
    durable.make_directory(machine.paths.scratch, 0o700)
    durable.make_directory(folder, 0o700)
    return folder
