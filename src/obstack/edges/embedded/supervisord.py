"""supervisord, the service manager of a private root: started and stopped here, spoken to by the agent.

The process is the caller's own, has no terminal, and outlives the command. Its socket is bound relative to its working
directory, because the path of a socket may have 107 bytes only and a checkout can lie deep.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from obstack.edges.embedded.processes import Process, alive, command_line, descendants, end_processes, processes_of
from obstack.errors import ChangeFailed
from obstack.model.layout import Layout

MARKER: Final = "OBSERVABILITY_PRIVATE_ROOT"
"""The environment variable by which everything that supervisord started can be found again, should it die."""

START_PATIENCE_S: Final = 15.0
STOP_PATIENCE_S: Final = 330.0
ORPHAN_PATIENCE_S: Final = 20.0
PAUSE_S: Final = 0.05


@dataclass(frozen=True)
class Supervisord:
    """The supervisord of the private root that `layout` describes."""

    layout: Layout

    @property
    def configuration(self) -> str:
        """The path of its configuration file."""
        return f"{self.layout.etc('supervisor')}/supervisord.conf"

    @property
    def log(self) -> str:
        """The path of its own log."""
        return f"{self.layout.root}/var/log/supervisord.log"

    @property
    def marker(self) -> str:
        """The line that everything it started has in its environment."""
        return f"{MARKER}={self.layout.root}"

    def pid(self) -> int | None:
        """Return its process identifier, or None when it does not run."""
        try:
            with open(f"{self.layout.run}/supervisord.pid", encoding="ascii") as file:
                pid = int(file.read())
        except (FileNotFoundError, ValueError):
            return None
        # The file outlives a killed process, and its number may since have gone to a stranger.
        return pid if self.configuration in command_line(pid) and alive(pid) else None

    def family(self) -> set[int]:
        """Return the process identifiers of everything that it runs."""
        pid = self.pid()
        return descendants(pid) if pid is not None else set()

    def orphans(self) -> list[Process]:
        """Return what a supervisord that was killed has left running."""
        kept = self.family() | {self.pid()}
        return [process for process in processes_of(self.layout.state, self.marker) if process.pid not in kept]

    def start(self) -> bool:
        """Start it and wait until it answers; return False when it already runs. What a dead one left is ended first.

        Raises ChangeFailed, with its log, when it ends or does not answer.
        """
        if self.pid() is not None:
            self._await_answer()
            return False
        end_processes(self.orphans(), ORPHAN_PATIENCE_S)
        self._write_configuration()
        started = subprocess.run(
            [sys.executable, "-I", "-m", "supervisor.supervisord", "-c", self.configuration],
            cwd=self.layout.run,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", MARKER: self.layout.root},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )
        if started.returncode != 0:
            raise self._failure("supervisord did not start.", started.stderr)
        self._await_answer()
        return True

    def stop(self) -> bool:
        """Let it stop its programs and end, and wait for that; return False when nothing ran."""
        pid = self.pid()
        orphans = self.orphans()
        if pid is not None:
            with contextlib.suppress(OSError, xmlrpc.client.Error), self._server() as server:
                server.supervisor.shutdown()
            deadline = time.monotonic() + STOP_PATIENCE_S
            while alive(pid) and time.monotonic() < deadline:
                time.sleep(PAUSE_S)
            end_processes([Process(pid, "supervisord")], 0)
            orphans = self.orphans()
        end_processes(orphans, ORPHAN_PATIENCE_S)
        return pid is not None or bool(orphans)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_PATIENCE_S
        while True:
            try:
                with self._server() as server:
                    server.supervisor.getState()
            except (OSError, xmlrpc.client.Error) as error:
                if time.monotonic() > deadline:
                    raise self._failure("supervisord did not answer.", str(error)) from error
                time.sleep(PAUSE_S)
            else:
                return

    @contextlib.contextmanager
    def _server(self) -> Iterator[Any]:
        from supervisor.xmlrpc import SupervisorTransport

        folder = os.open(self.layout.run, os.O_PATH | os.O_DIRECTORY)
        try:
            transport = SupervisorTransport(serverurl=f"unix:///proc/self/fd/{folder}/supervisor.sock")
            with xmlrpc.client.ServerProxy("http://localhost/RPC2", cast("Any", transport)) as server:
                yield server
        finally:
            os.close(folder)

    def _write_configuration(self) -> None:
        for folder in (self.layout.run, f"{self.layout.etc('supervisor')}/conf.d", os.path.dirname(self.log)):
            os.makedirs(folder, mode=0o755, exist_ok=True)
        parser = configparser.ConfigParser(interpolation=None)
        parser["supervisord"] = {
            "logfile": self.log,
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
            "pidfile": f"{self.layout.run}/supervisord.pid",
            "childlogdir": os.path.dirname(self.log),
        }
        if os.geteuid() == 0:
            parser["supervisord"]["user"] = "root"
        parser["unix_http_server"] = {"file": "/proc/self/cwd/supervisor.sock", "chmod": "0700"}
        parser["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        parser["include"] = {"files": "conf.d/*.conf"}
        with open(self.configuration, "w", encoding="utf-8") as file:
            parser.write(file)

    def _failure(self, what: str, detail: str) -> ChangeFailed:
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                detail = f"{detail}\n{file.read()[-4096:]}"
        except FileNotFoundError:
            pass
        return ChangeFailed(
            code="supervisord-failed",
            what=what,
            where=self.configuration,
            state="nothing runs in the private root",
            do="observability down, then observability up",
            detail=detail.strip(),
        )
