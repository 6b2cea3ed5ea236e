"""Where the agent keeps things, and which paths of a manifest it accepts.

The caller is never trusted: a path that could lead outside the generation's tree, or outside the few folders in which
a generation may place links and directories, is refused before anything is done.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from obstack.agent import wire
from obstack.agent.faults import USAGE, AgentError

OUTWARD_FOLDERS = ("/etc", "/var/lib", "/var/log", "/run")
"""Below the root, links and directories of a manifest may only be in these."""

FIREWALL_UNIT = "observability-firewall"

NAME = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,99}")
FOREIGN = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@-]{0,127}\.(service|socket|timer|target)")
"""The name of a unit of the machine's own, with its suffix."""
DIGEST = re.compile(r"[0-9a-f]{64}")
EFFECTS = ("none", "reload", "restart")
MANAGERS = ("systemd", "supervisor")
ARCHIVE_KINDS = ("deb", "tar", "zip", "file")


@dataclass(frozen=True)
class Paths:
    """The paths of one node below `root` (empty for a server)."""

    root: str

    @property
    def state(self) -> str:
        """The state folder."""
        return f"{self.root}/var/lib/observability"

    @property
    def current(self) -> str:
        """The one link to the generation in force."""
        return f"{self.state}/current"

    @property
    def generations(self) -> str:
        """The folder of all generations."""
        return f"{self.state}/generations"

    @property
    def blobs(self) -> str:
        """File contents by SHA-256."""
        return f"{self.state}/store/blobs"

    @property
    def artifacts(self) -> str:
        """Unpacked artifacts by identity."""
        return f"{self.state}/store/artifacts"

    @property
    def transactions(self) -> str:
        """One folder a run: the write-ahead record and the evidence."""
        return f"{self.state}/transactions"

    @property
    def snapshots(self) -> str:
        """Copies of service data, by transaction and unit."""
        return f"{self.state}/snapshots"

    @property
    def agents(self) -> str:
        """Installed agents by SHA-256, and the link `agent.pyz`."""
        return f"{self.state}/agent"

    @property
    def lock(self) -> str:
        """The file that is locked."""
        return f"{self.state}/lock"

    @property
    def ledger(self) -> str:
        """What was made outside the state folder."""
        return f"{self.state}/ledger.json"

    @property
    def audit(self) -> str:
        """The audit log: one line for each change of this machine."""
        return f"{self.state}/audit.jsonl"

    @property
    def scratch(self) -> str:
        """Working space: incoming archives, checkers' folders. Emptied by recovery."""
        return f"{self.state}/scratch"

    def generation(self, identity: str) -> str:
        """Return the folder of a generation, which is its tree."""
        return f"{self.generations}/{identity}"

    def manifest(self, identity: str) -> str:
        """Return the file that holds a generation's manifest."""
        return f"{self.generations}/{identity}/manifest.json"

    def link_text(self, link: wire.LinkEntry) -> str:
        """Return what an outward link says: a path through `current`, the same for every generation."""
        return f"{self.current}/{link.target}"


def current_identity(paths: Paths) -> str | None:
    """Return the identity of the generation that `current` leads to, or None when there is none."""
    try:
        return os.path.basename(os.readlink(paths.current))
    except FileNotFoundError:
        return None


def validate(manifest: wire.Manifest, root: str) -> None:
    """Refuse a manifest whose names or paths could do harm.

    Raises AgentError `manifest-refused` with all problems in its detail.
    """
    managers = [] if manifest.manager in MANAGERS else [f"there is no service manager {manifest.manager!r}"]
    problems = [
        *managers,
        *_tree_problems(manifest),
        *_outward_problems(manifest, root),
        *_unit_problems(manifest, root),
    ]
    if problems:
        raise AgentError(
            exit_code=USAGE,
            code="manifest-refused",
            what=f"The manifest was refused: {problems[0]}.",
            where=f"manifest of {manifest.node[:64]!r}",
            do="observability config validate",
            state="nothing was touched",
            detail="\n".join(problems),
        )


def is_plain_relative(path: str) -> bool:
    """Tell whether `path` names something below a folder and nothing else: relative, normal, printable."""
    return bool(path) and not path.startswith("/") and path == os.path.normpath(path) and _is_clean(path)


def _is_clean(path: str) -> bool:
    return path.isprintable() and ".." not in path.split("/")


def _is_outward(path: str, root: str) -> bool:
    if not path.startswith(f"{root}/") or path != os.path.normpath(path) or not _is_clean(path):
        return False
    below = path[len(root) :]
    state = "/var/lib/observability"
    inside = any(below.startswith(f"{folder}/") for folder in OUTWARD_FOLDERS)
    return inside and below != state and not below.startswith(f"{state}/")


def _doubles(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _tree_problems(manifest: wire.Manifest) -> list[str]:
    problems = []
    if manifest.key and not DIGEST.fullmatch(manifest.key):
        problems.append("the key of secret files is not named by a SHA-256 digest")
    if not manifest.key and any(file.secret for file in manifest.files):
        problems.append("there are secret files, but no key for their digests")
    for file in manifest.files:
        if not is_plain_relative(file.path) or not file.path.startswith(("etc/", "units/")):
            problems.append(f"file path {file.path!r} is not a plain path below etc/ or units/")
        if not DIGEST.fullmatch(file.digest):
            problems.append(f"file {file.path!r} has no SHA-256 digest")
        if not 0 <= file.mode <= 0o777:
            problems.append(f"file {file.path!r} has mode {file.mode:o}")
        if file.size < 0:
            problems.append(f"file {file.path!r} has size {file.size}")
        problems += [f"name {n!r} is not a user or group" for n in (file.owner, file.group) if not NAME.fullmatch(n)]
    for artifact in manifest.artifacts:
        if not NAME.fullmatch(artifact.name):
            problems.append(f"artifact name {artifact.name!r} is not a plain name")
        for archive in artifact.archives:
            if not DIGEST.fullmatch(archive.digest):
                problems.append(f"archive {archive.name!r} has no SHA-256 digest")
            if archive.kind not in ARCHIVE_KINDS:
                problems.append(f"archive {archive.name!r} is of unknown kind {archive.kind!r}")
            if archive.size < 0:
                problems.append(f"archive {archive.name!r} has size {archive.size}")
            if archive.kind == "file" and not is_plain_relative(archive.path):
                problems.append(f"archive {archive.name!r} goes to {archive.path!r}, which is not a plain path")
    problems += [f"path {path!r} is there twice" for path in _doubles(file.path for file in manifest.files)]
    problems += [f"artifact {name!r} is there twice" for name in _doubles(a.name for a in manifest.artifacts)]
    paths = {file.path for file in manifest.files}
    problems += [f"{path!r} is both file and folder" for path in paths if any(p.startswith(f"{path}/") for p in paths)]
    return problems


def _outward_problems(manifest: wire.Manifest, root: str) -> list[str]:
    problems = []
    for directory in manifest.directories:
        if not _is_outward(directory.path, root):
            problems.append(f"directory {directory.path!r} is outside the folders a generation may use")
        if not 0 <= directory.mode <= 0o7777:
            problems.append(f"directory {directory.path!r} has mode {directory.mode:o}")
        names = (directory.owner, directory.group)
        problems += [f"name {n!r} is not a user or group" for n in names if not NAME.fullmatch(n)]
    for link in manifest.links:
        if not _is_outward(link.path, root):
            problems.append(f"link {link.path!r} is outside the folders a generation may use")
        if not is_plain_relative(link.target) or not link.target.startswith(("etc/", "units/")):
            problems.append(f"link target {link.target!r} is not a plain path below etc/ or units/")
    for user in manifest.users:
        problems += [f"name {n!r} is not a user or group" for n in (user.name, *user.groups) if not NAME.fullmatch(n)]
    problems += [f"link {path!r} is there twice" for path in _doubles(link.path for link in manifest.links)]
    return problems


def _unit_problems(manifest: wire.Manifest, root: str) -> list[str]:
    files = {file.path for file in manifest.files}
    names = {unit.name for unit in manifest.units}
    problems = [f"unit {name!r} is there twice" for name in _doubles(unit.name for unit in manifest.units)]
    for unit in manifest.units:
        if not NAME.fullmatch(unit.name) and (unit.file or not FOREIGN.fullmatch(unit.name)):
            problems.append(f"unit name {unit.name!r} is not a plain name")
        if unit.check and (unit.file or not unit.check[0].startswith("/")):
            problems.append(f"unit {unit.name!r} is not to be checked by {unit.check[0]!r}")
        if unit.file and unit.file not in files:
            problems.append(f"unit {unit.name!r} has no file {unit.file!r} in the tree")
        problems += [f"unit {unit.name!r} comes after unknown {name!r}" for name in unit.after if name not in names]
        problems += [
            f"unit {unit.name!r} has an input of unknown effect {i.effect!r}"
            for i in unit.inputs
            if i.effect not in EFFECTS
        ]
        if unit.state is not None and not _is_outward(unit.state.directory, root):
            problems.append(f"unit {unit.name!r} keeps its data in {unit.state.directory!r}, which is not allowed")
    return problems
