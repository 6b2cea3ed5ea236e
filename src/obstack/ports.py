"""What the operations need of the outside world, as protocols. The edges implement them; tests give their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from obstack.agent import wire
from obstack.errors import Problem
from obstack.model.secret import Secret

if TYPE_CHECKING:  # the model costs a tenth of a second, and most verbs do without it
    from obstack.catalog.artifact import Artifact, Newest
    from obstack.catalog.components import Component
    from obstack.model.components import ArtifactChoice
    from obstack.model.legible import Legible
    from obstack.model.loaded import LoadedConfiguration, Sources
    from obstack.model.rules import Path as Place
    from obstack.model.site import Site
    from obstack.plan.audit import Memory
    from obstack.plan.fleet import Record
    from obstack.render.materials import Login


class Reporter(Protocol):
    """Shows progress to a person, on standard error. Results never go through it."""

    def event(self, node: str, event: wire.Event) -> None:
        """Show one event of a node's agent."""

    def step(self, message: str) -> None:
        """Say what is being done now, in the present tense."""

    def progress(self, message: str, done: int, total: int) -> None:
        """Show how far a long piece of work has got; `total` is 0 while it is not known."""


class FleetReporter(Reporter, Protocol):
    """Shows the progress of many nodes at once. It may be called from several threads."""

    def wave(self, title: str, nodes: Sequence[str]) -> None:
        """Say which nodes are worked on next."""

    def started(self, node: str) -> None:
        """Say that a node is being worked on."""

    def ended(self, node: str, outcome: str, message: str, *, good: bool) -> None:
        """Say how it ended for a node; `message` adds what a person wants to know of it."""


class RunRecord(Protocol):
    """What is remembered of the last run over many nodes, so that it can be gone on with."""

    def read(self) -> Record | None:
        """Return what is remembered; None when there is nothing, or nothing that can be understood."""

    def begin(self, desired: Mapping[str, str], *, who: str, now: float) -> None:
        """Forget the run before; given the generation that each node is to be in, remember that a run began."""

    def note(self, node: str, outcome: str, *, done: bool) -> None:
        """Remember how it ended for a node; `done` when it is in the generation that it was to be in."""


@dataclass(frozen=True)
class Contents:
    """Where the agent's needs are met from: small blobs in memory, archives in files. Both by SHA-256."""

    blobs: Mapping[str, bytes] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


class Channel(Protocol):
    """A way to the agent of one machine. One request, one conversation."""

    @property
    def node(self) -> str:
        """The name of the machine, for messages."""

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        """Send the request, serve what the agent needs, pass its events on and return its reply.

        Raises Unreachable when the machine or its agent cannot be reached or stops answering, Interrupted when a
        person interrupted the run.
        """

    def interrupt(self) -> None:
        """Tell the agent, once, to leave off: before the switch it abandons, after it it goes back, and replies so.

        It may be called from any thread. A request that has ended is not concerned; one that has not begun is
        interrupted when it begins.
        """


class AuditMemory(Protocol):
    """What this side remembers of the audit logs of machines, so that a log cannot be exchanged behind its back."""

    def recall(self, node: str) -> Memory:
        """Given a node, return what is remembered of its log."""

    def settle(self, node: str, head: wire.AuditHead) -> None:
        """Given a node whose log was found whole, remember its head in place of the older ones, which it stands for."""

    def accept(self, node: str, head: wire.AuditHead | None, now: float) -> None:
        """Forget what was remembered of a node: its log as it is now, with this head, counts. Raises ChangeFailed."""


class Clock(Protocol):
    """The only source of time in the operations."""

    def now(self) -> float:
        """Return seconds since 1970-01-01 UTC."""


@dataclass(frozen=True)
class Examination:
    """What reading a configuration found: `loaded` when its form is valid, and every problem in order of place.

    `legible` is what can be judged further; None when a file could not be read at all. `module_secrets` are the secrets
    that options of modules refer to, each with the path of the reference.
    """

    loaded: LoadedConfiguration | None
    sources: Sources
    problems: tuple[Problem, ...]
    legible: Legible | None = None
    module_secrets: tuple[tuple[Place, str], ...] = ()


class Configurations(Protocol):
    """Where configurations are read from."""

    def environments(self) -> tuple[str, ...]:
        """Return the names of the environments that have an overlay."""

    def examine(self, environment: str | None = None) -> Examination:
        """Given an environment's name or None for the base, return what was read and all problems."""


class Secrets(Protocol):
    """Where secrets are kept."""

    def get(self, name: str) -> Secret | None:
        """Given a name, return the secret, or None when there is none. Raises UsageError when it cannot be trusted."""

    def create(self, name: str, length: int = 24) -> Secret:
        """Given a name, return its secret; a strong random one is made and kept when there is none."""

    def place(self, name: str) -> str:
        """Given a name, return where the secret is kept, for messages."""


SecretsOf: TypeAlias = "Callable[[Site], Secrets]"
"""Given a site, returns where its secrets are kept: the site itself says so."""


class SiteSecrets(Secrets, Protocol):
    """The secrets of a site, ready for use."""

    def need(self, name: str) -> Secret:
        """Given a name, return the secret. Raises UsageError when there is none."""

    def logins(self, site: Site) -> tuple[Login, ...]:
        """Given the site, return the users of the front door; the same password keeps the same hash."""

    def gate_login(self) -> Login:
        """Return the machine account of the gate probes, drawn when there is none."""

    def node_key(self, node: str) -> bytes:
        """Given a node's name, return the key of the digests of its secret files: always the same for this site."""


class ArchiveCache(Protocol):
    """Verified archives on this machine, by SHA-256."""

    def find(self, entry: wire.ArchiveEntry) -> Path | None:
        """Given an archive, return its file, or None when it is not here in full. Its content is not read."""

    def look(self, entry: wire.ArchiveEntry) -> bool | None:
        """Given an archive, read it and return whether it is what it should be; None when it is not here."""

    def verify(self, digest: str) -> Path | None:
        """Given a digest, read the archive and return its file; None when it is not here. A damaged one is removed."""

    def take(self, file: Path, *, name: str, digest: str, origin: str) -> Path:
        """Given a file that was fetched from `origin`, verify it, move it into the cache and return its place there.

        Raises ChangeFailed, naming both digests, when it is not the archive `name` that was asked for.
        """

    def workspace(self) -> AbstractContextManager[Path]:
        """Return an empty folder on the cache's file system, which is removed at the end of the context."""


class Downloads(Protocol):
    """The way to files on web servers."""

    def fetch(self, url: str, into: Path, message: str) -> bool:
        """Given an address, write what is there to `into` and return True; False when the server has no such thing.

        `message` is shown with the progress. Raises Unreachable when the server cannot be reached or breaks off.
        """


class ArtifactSource(Protocol):
    """One kind of place that artifacts come from."""

    def settle(self, choice: ArtifactChoice) -> ArtifactChoice:
        """Given a choice, return it with what it left to this machine filled in, without asking the network."""

    def resolve(
        self, component: Component, choice: ArtifactChoice, architecture: str, *, runs_on: str | None = None
    ) -> Artifact:
        """Given a settled choice, return the artifact by digest, with all its archives in the cache.

        `runs_on` is the suite of the machines that will run it; None means this machine.

        Raises UsageError when there is no such version or suite, Unreachable when the place cannot be reached,
        ChangeFailed when something is not what it was promised to be.
        """

    def newest(self, component: Component, choice: ArtifactChoice, architecture: str) -> Newest:
        """Given a settled choice, return what `resolve` would give, without fetching an archive.

        Raises UsageError and Unreachable as `resolve` does.
        """

    def fetch(self, artifacts: Sequence[Artifact]) -> None:
        """Given artifacts, put those of their archives that the cache lacks into it. Raises what `resolve` raises."""


class ArchiveMirror(Protocol):
    """A place of the site's own that has archives by SHA-256."""

    def fetch(self, name: str, digest: str) -> Path | None:
        """Given an archive, put it into the cache and return its file, or None when the mirror lacks it.

        Raises Unreachable when the mirror cannot be reached, ChangeFailed when it holds something else.
        """


class ConfigurationFolder(Protocol):
    """The folder of a configuration that is being begun."""

    def place(self) -> str:
        """Return the path of the base file, for messages."""

    def exists(self) -> bool:
        """Return whether there is a base file."""

    def examine_text(self, text: str) -> tuple[Problem, ...]:
        """Given the text of a base file that is not written yet, return its problems."""

    def keep_copy(self) -> str:
        """Copy the base file to a free name beside it and return that name."""

    def write(self, text: str, schema: str, host_schema: str) -> tuple[str, ...]:
        """Given the base file's text and the JSON Schemas, write them, and keep git off secrets; return the paths."""


@dataclass(frozen=True)
class Plaintext:
    """A secret as plain text: in which file, on which line, at which path of the site; `beside` is its login's name."""

    file: str
    line: int
    path: Place
    value: Secret
    beside: str = ""


@dataclass(frozen=True)
class Move:
    """A secret that was moved: where it stood, and the name that stands there now."""

    found: Plaintext
    name: str


@dataclass(frozen=True)
class Leftover:
    """A place where a moved value is to be seen still: a file, and its line, 0 for one that is no text."""

    file: str
    line: int
    name: str


class PlaintextFiles(Protocol):
    """The files of a configuration, and the copies of them that this program has made."""

    def find(self, is_secret: Callable[[Place], bool]) -> tuple[Plaintext, ...]:
        """Given what tells the paths of secrets, return every one that stands there as plain text.

        Raises ConfigurationError for a file that cannot be read.
        """

    def replace(self, moves: Sequence[Move]) -> None:
        """Given moves of one file, write it with the references in place of the values. Raises UsageError."""

    def left(self, values: Mapping[str, Secret]) -> tuple[Leftover, ...]:
        """Given values by name, return where one of them is to be seen still, in any file of the folder."""

    def in_git(self, files: Sequence[str]) -> tuple[str, ...]:
        """Return those of the files that git knows."""


@dataclass(frozen=True)
class KeyChange:
    """A change of one key: `path` leads to it through mappings; it gets `value`, or goes when `gone`.

    Mappings that are missing on the way are made; what is not there needs not go.
    """

    path: tuple[str, ...]
    value: Any = None
    gone: bool = False


class HostEditor(Protocol):
    """The hosts' files, changed key by key: whatever else a person wrote there stays as it is.

    The site with the change is judged first. When that finds a problem that was not there before, ConfigurationError
    is raised with all of them, and nothing is written.
    """

    def names(self) -> tuple[str, ...]:
        """Return the names of the hosts that have a file, in order."""

    def place(self, name: str) -> str:
        """Return the path of a host's file, for messages."""

    def add(self, name: str, values: Mapping[str, Any]) -> str:
        """Given a new host's name and what its file is to say, write the file and return its path.

        Raises UsageError when there is such a host.
        """

    def edit(self, name: str, changes: Sequence[KeyChange]) -> bool:
        """Given a host and changes, make them in its file; return False, writing nothing, when it says so already.

        Raises UsageError when there is no such host, or its file cannot be changed by a program.
        """

    def check_removal(self, name: str) -> None:
        """Given a host, raise what `remove` would raise, and change nothing."""

    def remove(self, name: str) -> str:
        """Given a host, move its file to a free name beside it and return that name. Raises UsageError."""
