"""The words between controller and agent: frozen values and their canonical JSON.

A request is one line of JSON on the agent's standard input. The agent answers with lines of JSON, each an `Event`,
and ends with one `Reply`. When the agent lacks content it sends a `Need` and the controller answers with one `Blob`
line for each digest, every one followed by exactly `size` raw bytes. A no-op therefore costs one round trip.

While the agent works, the controller may send an `Interrupt`; the agent may send `Confirm`, which is answered by
`Confirmed` or not at all, and says `Alive` now and then.

Equal values have equal bytes (`coding`), so that the SHA-256 of a manifest is the generation's identity.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from typing import Any

# Whoever has the values needs their coding too: it is found here.
from obstack.agent.coding import WireError as WireError
from obstack.agent.coding import canonical as canonical
from obstack.agent.coding import decode as decode
from obstack.agent.coding import encode as encode
from obstack.agent.coding import line as line
from obstack.agent.coding import load as load
from obstack.agent.coding import sparse

PROTOCOL = 1
KEY_SIZE = 32
"""Bytes of the key of secret files' digests."""

# ----------------------------------------------------------------------------------------------- the manifest


@dataclass(frozen=True)
class FileEntry:
    """One regular file of a generation. `path` is relative to the generation's tree: `etc/nginx/nginx.conf`.

    `digest` is the SHA-256 of the content; of a `secret` file it is the HMAC-SHA256 by the manifest's key, so that it
    cannot be tried whether a guessed content has it.
    """

    path: str
    digest: str
    size: int
    mode: int
    owner: str = "root"
    group: str = "root"
    secret: bool = False


@dataclass(frozen=True)
class ArchiveEntry:
    """One verified archive. `kind` is deb, tar, zip or file.

    `strip` leading folders are dropped on unpacking; `path` is where a plain `file` goes inside the artifact. `only`
    are the files and folders that are wanted of it (after `strip`); empty means all.
    """

    name: str
    digest: str
    size: int
    kind: str
    strip: int = 0
    path: str = ""
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArtifactEntry:
    """A binary distribution: archives unpacked over each other, in order, into one read-only folder of the store.

    The tree of a generation shows it as `artifacts/<name>`, a link into the store.
    """

    name: str
    version: str
    archives: tuple[ArchiveEntry, ...]

    @property
    def identity(self) -> str:
        """Return the SHA-256 that names the unpacked folder: of what goes in and how, not of names."""
        content = [[a.digest, a.kind, a.strip, a.path, list(a.only)] for a in self.archives]
        return hashlib.sha256(canonical(content)).hexdigest()


@dataclass(frozen=True)
class DirectoryEntry:
    """A directory outside the state folder, made when absent. A `data` directory is deleted by nothing but a purge."""

    path: str
    mode: int
    owner: str = "root"
    group: str = "root"
    data: bool = True


@dataclass(frozen=True)
class LinkEntry:
    """A link outside the state folder: `path` (absolute, below the root) leads to `current/<target>`."""

    path: str
    target: str


@dataclass(frozen=True)
class UserEntry:
    """A system user with a group of its own name, made when absent."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class InputEntry:
    """What a unit reads, and what a change of it means.

    `source` is a file of the tree, a folder of it ending in `/`, or `artifact:<name>`. `effect` is none, reload or
    restart. The first entry that matches a changed thing decides.
    """

    source: str
    effect: str


@dataclass(frozen=True)
class ReloadEntry:
    """How a running unit takes new configuration.

    `kind` is signal (`value`: HUP), http (`value`: URL to POST to), or again: it does once more what it did at its
    start, as its unit file says, without being stopped in between.
    """

    kind: str
    value: str


@dataclass(frozen=True)
class StateEntry:
    """The data of a unit: its directory, and the name of the format that this version writes.

    Two equal formats can be switched either way; a change of format is preceded by a snapshot. `reads` names the
    formats of other versions that this one can go on with; from any other there is only the way back to a snapshot.
    """

    directory: str
    format: str
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnitEntry:
    """One service. `file` is the rendered definition in the tree (`units/<name>.service` or `units/<name>.conf`).

    A unit without `file` belongs to the system (systemd-journald, or `nginx.service` with its suffix): it is never
    installed, started or stopped, only reloaded or restarted when its inputs change and it runs; `check` is its
    product's own checker, which must have accepted its whole configuration before that. `after` names the units that
    must be acted on before this one. `boot_only` units are installed but never started, stopped or expected to run:
    the boot starts them (the recovery unit), or a timer or another unit does where they are not `enabled`. A unit that
    `undoes` takes back what it did when it is stopped, so before a restart it is stopped as the old generation has it.
    A name without suffix is a service's; `name.timer` is a timer.
    """

    name: str
    file: str
    after: tuple[str, ...] = ()
    inputs: tuple[InputEntry, ...] = ()
    reload: ReloadEntry | None = None
    state: StateEntry | None = None
    start_timeout_s: int = 60
    stop_timeout_s: int = 30
    boot_only: bool = False
    check: tuple[str, ...] = ()
    enabled: bool = True
    undoes: bool = False


@dataclass(frozen=True)
class CheckEntry:
    """A product's own checker, run on the staged tree before the switch.

    In `argv` and `environment`, `{tree}` stands for the staged tree and `{scratch}` for an empty private folder.
    """

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    timeout_s: int = 60


@dataclass(frozen=True)
class GateEntry:
    """A semantic probe that must pass within `deadline_s` after the switch.

    `kind` selects the probe and `params` are its arguments (agent/gate.py documents each kind). `unit` is the unit
    whose log is evidence. `active` probes write something (a test alert, a marked log line); they run after a change
    and on `health`, not on a no-op apply.
    """

    name: str
    kind: str
    unit: str
    params: dict[str, Any] = field(default_factory=dict)
    deadline_s: int = 60
    active: bool = False


@dataclass(frozen=True)
class Manifest:
    """Everything a node must be. Its digest is the generation's identity; equal configuration gives equal manifests.

    `key` is the SHA-256 of the key of the secret files' digests. The key itself, KEY_SIZE drawn bytes, is a content
    like others, and stays in the store of the node. Generations of older programs have none, and plain digests.
    """

    node: str
    role: str
    manager: str
    files: tuple[FileEntry, ...] = ()
    artifacts: tuple[ArtifactEntry, ...] = ()
    directories: tuple[DirectoryEntry, ...] = ()
    links: tuple[LinkEntry, ...] = ()
    users: tuple[UserEntry, ...] = ()
    units: tuple[UnitEntry, ...] = ()
    checks: tuple[CheckEntry, ...] = ()
    gates: tuple[GateEntry, ...] = ()
    version: int = 1
    key: str = ""

    @functools.cached_property
    def identity(self) -> str:
        """Return the generation's identity: the SHA-256 of the manifest's body, 64 hexadecimal digits."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def body(self) -> bytes:
        """Return the form in which the manifest is kept.

        Fields with their default value are left out: a later program, whose entries have more fields, must read the
        generations of this one as the same ones.
        """
        return canonical(sparse(self) | {"version": self.version})


# ------------------------------------------------------------------------------------------ request and answers


@dataclass(frozen=True)
class Request:
    """What the controller asks for. `verb` selects the handler in agent/__main__.py; `params` are its arguments.

    `wait_s` is how long to wait for the lock before answering that it is held. `who` names the person or the timer,
    and `origin` says more of the controller (caller.py names the words); both are for the audit log.
    """

    verb: str
    params: dict[str, Any] = field(default_factory=dict)
    manifest: Manifest | None = None
    who: str = ""
    wait_s: float = 0.0
    protocol: int = PROTOCOL
    origin: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Progress. `step` is stage, check, snapshot, switch, act, gate, commit, rollback, recover or log.

    `state` is started, progress, done or failed; `data` are details for a display or for JSON.
    """

    step: str
    state: str
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    type: str = "event"


@dataclass(frozen=True)
class Need:
    """The digests that the agent lacks and wants as blobs, in the order it wants them."""

    digests: tuple[str, ...]
    type: str = "need"


@dataclass(frozen=True)
class Blob:
    """Announces `size` raw bytes that follow the line."""

    digest: str
    size: int
    type: str = "blob"


@dataclass(frozen=True)
class Confirm:
    """Asks the controller to prove that a new connection to the machine can be opened."""

    type: str = "confirm"


@dataclass(frozen=True)
class Confirmed:
    """The controller has opened a new connection to the machine since it was asked to."""

    type: str = "confirmed"


@dataclass(frozen=True)
class Alive:
    """The agent is at work, and has nothing else to say just now."""

    type: str = "alive"


@dataclass(frozen=True)
class Interrupt:
    """A person wants the run to leave off. The agent treats it like SIGTERM; the end of its input is no such wish."""

    type: str = "interrupt"


@dataclass(frozen=True)
class Fault:
    """An error as data: the fields of the controller's StackError, and the exit code of its family."""

    exit_code: int
    code: str
    what: str
    where: str
    do: str
    state: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Action:
    """What was decided for one unit: none, start, reload, restart or stop, and why. `reason` is for people."""

    unit: str
    action: str
    reason: str


@dataclass(frozen=True)
class Drift:
    """One difference between the machine and its committed generation.

    `kind` is file-changed, file-missing, mode-changed, owner-changed, link-missing, link-changed, directory-missing,
    unit-file-changed, unit-undone (it runs, but what it did is gone), unit-stopped, unit-failed, unit-disabled,
    artifact-changed or user-missing; and unit-extended, which is told of and is no drift: somebody's drop-in.
    """

    kind: str
    subject: str
    detail: str


@dataclass(frozen=True)
class Fact:
    """One observation of a machine. `state` is known (with `value`), absent (looked, not there) or unknown (`reason`).

    Names and values: `os` {id, version, codename, name}; `architecture` amd64; `user` 0; `manager` systemd (the program
    that is PID 1); `python` [3, 13, 5]; `disk` and `memory` {total_bytes, free_bytes}; `inodes` {total, free};
    `listeners` [{address, port, program, unit, protocol}], protocol being tcp or udp; `ssh` [22], the ports of SSH;
    `firewall` {method, closed, openings} of ours that is in force, each opening {protocol, port, sources, purpose};
    `packages` {name: version} of installed packages that would be in the way; `paths` {path: kind} of the outward
    paths, kind being absent, ours, link, directory or file; `units` {name: path} of unit files that are not ours;
    `commands` {name: path or empty}; `clock` {now, synchronized}; `systemd` 252 (its version); `users` {name: number}
    of users that are not ours; `namespaces` whether any user may make them.
    """

    name: str
    state: str
    value: Any = None
    reason: str = ""


@dataclass(frozen=True)
class Look:
    """One thing to look for: `kind` is unit, command, file, socket, port or package, `subject` which of them."""

    kind: str
    subject: str


@dataclass(frozen=True)
class Sighting:
    """What a look has seen. `answer` is yes, no or unknown; `evidence` says in words what was there, or why not known.

    `state` is active where something is at work, enabled for a unit that is to be, idle for one that neither is nor is
    to be; empty for the kinds that cannot tell.
    """

    kind: str
    subject: str
    answer: str
    evidence: str
    state: str = ""


@dataclass(frozen=True)
class GateResult:
    """The outcome of one gate. `evidence` is what was seen last; secrets never get into it."""

    name: str
    kind: str
    unit: str
    passed: bool
    seconds: float
    message: str
    evidence: str = ""

    @property
    def remark(self) -> str:
        """Return the message for showing it beside the name: nothing when it only says the same."""
        return "" if self.message.casefold() == self.name.casefold() else self.message


OUTCOMES = ("unchanged", "committed", "refused", "rolled-back", "rollback-failed", "ok", "failed")


@dataclass(frozen=True)
class AuditHead:
    """The last entry of a machine's audit log: its number and its hash, which stands for all entries before it too."""

    sequence: int
    hash: str


@dataclass(frozen=True)
class Reply:
    """The last line. `outcome` is unchanged, committed, refused, rolled-back, rollback-failed, ok or failed.

    `fault` is set exactly when the exit code is not 0. `data` holds what a reading verb was asked for. `audit` is the
    head of the machine's audit log after the run; None when there is no entry.
    """

    outcome: str
    generation: str | None = None
    previous: str | None = None
    actions: tuple[Action, ...] = ()
    drift: tuple[Drift, ...] = ()
    gates: tuple[GateResult, ...] = ()
    fault: Fault | None = None
    data: dict[str, Any] = field(default_factory=dict)
    audit: AuditHead | None = None
    type: str = "reply"
