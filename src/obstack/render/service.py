"""One abstract service. render/systemd.py and render/supervisor.py turn it into what the service manager reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from obstack.agent.wire import InputEntry, ReloadEntry, StateEntry


@dataclass(frozen=True)
class Sandbox:
    """What a service may do beyond the common hardened base; every deviation is a field, so it can be seen and tested.

    `families` are the socket address families; `capabilities` are kept and made ambient (which rules out private
    users); `host_processes` shows all of /proc; `host_mounts` shows the machine's real mounts (no private /tmp, /home
    read-only); `clock` lets it read the state of the clock; `devices` are device nodes it may
    open; `writable` are paths beside its data directory;
    `writable_executable_memory` allows just-in-time code; `groups` are supplementary groups;
    `umask` is taken from the mode of what it writes; `hidden` are paths of which it sees nothing; `calls` are system
    calls that the base refuses. With AF_UNIX as its only family it has no network at all.
    """

    families: tuple[str, ...] = ("AF_INET", "AF_INET6")
    capabilities: tuple[str, ...] = ()
    host_processes: bool = False
    host_mounts: bool = False
    clock: bool = False
    devices: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    writable_executable_memory: bool = False
    groups: tuple[str, ...] = ()
    umask: str = "0077"
    loopback_only: bool = False
    hidden: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """A private view of the file system: `source` is seen at `target` by this service alone.

    systemd binds it read-only; without systemd the service starts in a mount namespace of its own.
    """

    source: str
    target: str


@dataclass(frozen=True)
class Credential:
    """A secret that only the machine's systemd has. The service reads it at `path(service)`, and nobody else can."""

    name: str
    encrypted: bool

    @property
    def source(self) -> str:
        """Return the file that an administrator has put it into."""
        return f"/etc/credstore{'.encrypted' if self.encrypted else ''}/{self.name}"

    def path(self, service: str) -> str:
        """Given the name of the service, return the file that it finds the value in."""
        return f"/run/credentials/{service}.service/{self.name}"


@dataclass(frozen=True)
class Service:
    """A long-running process, described once.

    `argv[0]` is an absolute path. `preflight` commands must succeed before each start. `libraries` are folders for the
    dynamic loader. Sizes are bytes as systemd writes them (`512M`). `data` is its own writable directory.
    `stop_signal` asks it to end gracefully. A `oneshot` runs `argv` to its end and stays active until its `stop`
    commands have undone it (a firewall, an account); it may be root's. One that `undoes` is always stopped with the
    files that it was started with: what it made has the name that they say. `follows` are units of the machine that it
    starts after, complete with suffix. `environment_file` is read by the service manager, as root. A `persistent` one
    is started again for good, whatever ended it and however often: no configuration of ours can make it fail. A
    `passing` oneshot is over when it has run, and is started by what wants it, not by the boot. Whoever `reloads_with`
    units of the machine is reloaded whenever one of them is.
    """

    name: str
    description: str
    argv: tuple[str, ...]
    user: str
    data: str | None = None
    preflight: tuple[tuple[str, ...], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    views: tuple[View, ...] = ()
    after: tuple[str, ...] = ()
    inputs: tuple[InputEntry, ...] = ()
    reload: ReloadEntry | None = None
    state: StateEntry | None = None
    sandbox: Sandbox = Sandbox()
    memory_max: str = "256M"
    tasks_max: int = 256
    open_files: int = 4096
    start_timeout_s: int = 60
    stop_timeout_s: int = 30
    stop_signal: str = "TERM"
    oneshot: bool = False
    stop: tuple[tuple[str, ...], ...] = ()
    follows: tuple[str, ...] = ()
    environment_file: str | None = None
    persistent: bool = False
    credentials: tuple[Credential, ...] = ()
    undoes: bool = False
    passing: bool = False
    reloads_with: tuple[str, ...] = ()
