"""A small real world for the engine: a private root, a real supervisord, real processes, the real agent as a zipapp.

The services are shell scripts that say what they loaded, so a test can see which generation a process really runs.
"""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from obstack.agent import record, wire
from obstack.agent.store import content_digest
from obstack.edges.embedded.supervisord import Supervisord
from obstack.edges.local_channel import LocalChannel
from obstack.errors import Unreachable
from obstack.model.layout import Layout, Manager
from obstack.plan.audit import Chain, Entry, parse_entry
from obstack.ports import Contents

WORKER = """#!/bin/sh
# worker CONFIGURATION LOADED DATA: write the own version and the configuration that was loaded to LOADED.
load() {{ {{ echo {version}; cat "$1"; }} > "$2.new" && mv "$2.new" "$2"; }}
load "$1" "$2" || exit 1
echo {version} >> "$3/log"
trap 'load "$1" "$2"' HUP
trap 'kill $!; exit 0' TERM
while :; do sleep 1000 & wait $!; kill $! 2>/dev/null; done
"""

STATE = "var/lib/observability"
KEY = bytes(range(wire.KEY_SIZE))


@dataclass(frozen=True)
class Generation:
    """A manifest with what it is made of. `loaded` is what each unit says once it runs it."""

    manifest: wire.Manifest
    blobs: dict[str, bytes]
    loaded: dict[str, str]

    @property
    def identity(self) -> str:
        return self.manifest.identity


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every path with 200, but `/red` with 503."""

    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/red" else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class World:
    """A private root at `root` with a supervisord that runs as long as the world."""

    root: Path
    cache: Path
    url: str
    events: list[wire.Event] = field(default_factory=list, repr=False)

    @property
    def layout(self) -> Layout:
        return Layout(str(self.root), Manager.SUPERVISOR)

    @property
    def state(self) -> Path:
        return self.root / STATE

    # -------------------------------------------------------------------------------------------- generations

    def generation(
        self,
        configuration: str = "one",
        *,
        version: object = 1,
        units: tuple[str, ...] = ("alpha", "beta"),
        gate: str = "green",
        data_format: str = "",
        checks: tuple[wire.CheckEntry, ...] = (),
        extra: Mapping[str, bytes] | None = None,
        program: str = "",
    ) -> Generation:
        """Units that each load a file of the tree; only the first one's says `configuration`."""
        blobs: dict[str, bytes] = {}
        files = []

        blobs[digest(KEY)] = KEY

        def add(path: str, content: bytes, mode: int = 0o644, secret: bool = False) -> None:
            name = content_digest(content, KEY if secret else b"")
            blobs[name] = content
            files.append(wire.FileEntry(path, name, len(content), mode, secret=secret))

        worker = (program or WORKER.format(version=version)).encode()
        blobs[digest(worker)] = worker
        archive = wire.ArchiveEntry("worker", digest(worker), len(worker), "file", path="bin/worker")
        loaded = {}
        entries = []
        for number, name in enumerate(units):
            text = f"{name} {configuration if number == 0 else 'constant'}\n"
            loaded[name] = f"{version}\n{text}"
            add(f"etc/{name}/{name}.conf", text.encode())
            add(f"etc/{name}/secret", b"hidden", 0o600, secret=True)
            add(f"units/{name}.conf", self.definition(name, settle_s=1 if program else 0).encode())
            # Each later format is read by versions that write it, as Prometheus does; never the other way round.
            reads = ("one", data_format) if data_format else ("one",)
            state = wire.StateEntry(self.data(name), data_format or "one", reads) if number == 0 else None
            entries.append(
                wire.UnitEntry(
                    name,
                    f"units/{name}.conf",
                    after=units[:number],
                    inputs=(
                        wire.InputEntry(f"etc/{name}/", "reload"),
                        wire.InputEntry("artifact:worker", "restart"),
                    ),
                    reload=wire.ReloadEntry("signal", "HUP"),
                    state=state,
                    start_timeout_s=5,
                    stop_timeout_s=5,
                )
            )
        for path, content in (extra or {}).items():
            add(path, content)
        manifest = wire.Manifest(
            node="web-1",
            role="observability",
            manager="supervisor",
            files=tuple(files),
            artifacts=(wire.ArtifactEntry("worker", str(version), (archive,)),),
            directories=tuple(wire.DirectoryEntry(self.data(name), 0o750) for name in units),
            links=tuple(wire.LinkEntry(f"{self.root}/etc/{name}", f"etc/{name}") for name in units),
            units=tuple(entries),
            checks=checks,
            gates=(
                wire.GateEntry("answer", "http", units[0], {"url": f"{self.url}/{gate}", "status": 200}, deadline_s=0),
            ),
            key=digest(KEY),
        )
        return Generation(manifest, blobs, loaded)

    def data(self, unit: str) -> str:
        return f"{self.root}/var/lib/{unit}"

    def definition(self, name: str, settle_s: int) -> str:
        program = f"{self.layout.artifact('worker', 'bin/worker')} {self.root}/etc/{name}/{name}.conf"
        return (
            f"[program:{name}]\ncommand=/bin/sh {program} {self.root}/run/{name}.loaded {self.data(name)}\n"
            f"startsecs={settle_s}\nautorestart=false\nstopasgroup=true\nkillasgroup=true\n"
            f"redirect_stderr=true\nstdout_logfile={self.root}/var/log/{name}.log\n"
        )

    # ------------------------------------------------------------------------------------------------ asking

    def ask(self, verb: str, generation: Generation | None = None, /, wait_s: float = 5, **params: Any) -> wire.Reply:
        return self.channel().ask(
            wire.Request(verb, params, generation.manifest if generation else None, "a test", wait_s),
            Contents(blobs=generation.blobs if generation else {}),
            self.events.append,
        )

    def channel(self, **environment: str) -> LocalChannel:
        return LocalChannel("web-1", str(self.root), self.cache, environment=tuple(environment.items()))

    def apply(self, generation: Generation) -> wire.Reply:
        """Apply and insist that it is in force afterwards."""
        reply = self.ask("apply", generation)
        assert reply.fault is None, reply.fault
        assert reply.outcome in ("committed", "unchanged")
        self.assert_whole(generation)
        return reply

    def crash(self, point: str, verb: str, generation: Generation | None = None, /, **params: Any) -> bool:
        """Run a verb with the agent killed at `point` (`name:n`: the n-th time); tell whether it got there."""
        request = wire.Request(verb, params, generation.manifest if generation else None, "a test")
        contents = Contents(blobs=generation.blobs if generation else {})
        try:
            self.channel(OBSERVABILITY_CRASH_AT=point).ask(request, contents, self.events.append)
        except Unreachable as error:
            assert "SIGKILL" in error.what
            return True
        return False

    def trace(self, verb: str, generation: Generation | None = None, /, **params: Any) -> list[str]:
        """Run a verb and return the crash points that it passed, as `name:n`."""
        log = self.root / "trace"
        request = wire.Request(verb, params, generation.manifest if generation else None, "a test")
        contents = Contents(blobs=generation.blobs if generation else {})
        self.channel(OBSERVABILITY_CRASH_TRACE=str(log)).ask(request, contents, self.events.append)
        names = log.read_text().split()
        log.unlink()
        passed: Counter[str] = Counter()
        points = []
        for name in names:
            passed[name] += 1
            points.append(f"{name}:{passed[name]}")
        return points

    # ------------------------------------------------------------------------------------------------ looking

    def inspect(self) -> wire.Reply:
        return self.ask("inspect")

    def pids(self) -> dict[str, int]:
        return {unit["name"]: unit["pid"] for unit in self.inspect().data["units"]}

    def assert_whole(self, *allowed: Generation | None) -> Generation | None:
        """The machine is one of the generations allowed (None: nothing at all), whole, and runs it."""
        reply = self.inspect()
        assert reply.fault is None, reply.fault
        found = next((g for g in allowed if (g.identity if g else None) == reply.generation), ...)
        assert found is not ..., f"{reply.generation} is in force"
        assert reply.drift == (), reply.drift
        units = {} if found is None else found.loaded
        definitions = self.root / "etc/supervisor/conf.d"
        assert sorted(p.name for p in definitions.iterdir()) == sorted(f"{name}.conf" for name in units)
        for name, text in units.items():
            self._await_loaded(name, text)
            assert os.readlink(self.root / "etc" / name) == f"{self.state}/current/etc/{name}"
        running = set(self._processes())
        assert running == set(units), f"processes: {running}"
        self._assert_no_remains()
        self.assert_entered()
        return found

    def assert_entered(self) -> None:
        """Each run has ended with one entry in the audit log, and the log is whole."""
        if not self.state.is_dir():
            return
        entries = self.audited()
        ended = {run.name for run in record.history(str(self.state / "transactions")) if run.outcome and run.entries}
        names = [entry.transaction for entry in entries]
        assert len(set(names)) == len(names), f"entered twice: {names}"
        assert ended <= set(names), f"not entered: {ended - set(names)}"

    def audited(self) -> list[Entry]:
        """Return the entries of the audit log, which is whole."""
        chain, log = Chain(frozenset()), self.state / "audit.jsonl"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        for line in lines:
            chain.feed(line)
        assert (chain.breach, chain.torn) == (None, False)
        return [entry for line in lines if (entry := parse_entry(line[:-1]))]

    def _await_loaded(self, unit: str, text: str) -> None:
        # A reload is a signal: the process needs a moment to act on it.
        path = self.root / "run" / f"{unit}.loaded"
        deadline = time.monotonic() + 5
        while not path.is_file() or path.read_text() != text:
            assert time.monotonic() < deadline, f"{unit} loaded {path.read_text() if path.is_file() else None!r}"
            time.sleep(0.02)

    def _processes(self) -> list[str]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if len(words) > 3 and words[1].endswith(b"bin/worker") and words[1].startswith(str(self.root).encode()):
                    found.append(Path(words[3].decode()).name.removesuffix(".loaded"))
        return found

    def _assert_no_remains(self) -> None:
        if not self.state.is_dir():
            return
        names = [os.path.join(base, n) for base, folders, files in os.walk(self.root) for n in (*folders, *files)]
        remains = [
            n for n in names if n.endswith((".partial", "/scratch", "/reserve")) or "/.new-" in n or ".restoring-" in n
        ]
        assert not remains, f"remains: {remains}"

    def transactions(self) -> list[dict[str, Any]]:
        return list(self.ask("generations").data["transactions"])


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Run a world in an empty folder for the length of a `with` block."""
    root = folder / "root"
    root.mkdir(mode=0o755)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = World(root, folder / "cache", f"http://127.0.0.1:{server.server_address[1]}")
    supervisord = Supervisord(made.layout)
    supervisord.start()
    try:
        yield made
    finally:
        supervisord.stop()
        server.shutdown()
        server.server_close()


def with_gate(generation: Generation, **changes: Any) -> Generation:
    """The same generation with its gate changed."""
    gates = tuple(replace(gate, **changes) for gate in generation.manifest.gates)
    return replace(generation, manifest=replace(generation.manifest, gates=gates))


def mounted(folder: Path, size: str) -> bool:
    """Mount a small file system of its own on a folder; False when this user may not."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "observability-test", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
