"""The supervisor service manager: supervisord's own XML-RPC over its UNIX socket, with the standard library.

supervisord itself is started and stopped by `observability up` and `down`; here it is only talked to.
"""

from __future__ import annotations

import configparser
import contextlib
import http.client
import os
import shlex
import socket
import time
import xmlrpc.client
from collections.abc import Iterator, Sequence
from typing import Any

from obstack.agent import wire
from obstack.agent.services import ServiceFailure, UnitState, describe, post_reload, wait_active

ACTIVE = {
    "STOPPED": ("inactive", "dead"),
    "STARTING": ("activating", "start"),
    "RUNNING": ("active", "running"),
    "BACKOFF": ("activating", "auto-restart"),
    "STOPPING": ("deactivating", "stop"),
    "FATAL": ("failed", "fatal"),
}
BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 10, 60, 70, 90
QUERY_TIMEOUT_S = 10.0
LOG_LIMIT = 16_384


class Supervisor:
    """Given the private root, act on the programs of the supervisord that serves it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.socket_path = f"{root}/run/supervisor.sock"

    def states(self, units: Sequence[wire.UnitEntry]) -> dict[str, UnitState]:
        """Return the state of every unit given, from one request."""
        with self._server(QUERY_TIMEOUT_S) as server:
            known = {str(info["name"]): info for info in _call(server.supervisor.getAllProcessInfo)}
        states = {}
        for unit in units:
            enabled = os.path.exists(self.definition_path(unit))
            info = known.get(unit.name)
            states[unit.name] = (
                parse_state(info, enabled) if info else UnitState(unit.name, "inactive", enabled=enabled)
            )
        return states

    def definition_path(self, unit: wire.UnitEntry) -> str:
        """Return where the program's definition belongs."""
        return f"{self.root}/etc/supervisor/conf.d/{unit.name}.conf"

    def enable_link(self, unit: wire.UnitEntry) -> tuple[str, str] | None:  # noqa: ARG002 - the protocol's form
        """Return None: supervisord starts whatever is defined."""
        return None

    def reload_definitions(self) -> None:
        """Let supervisord read its definitions again; programs take theirs when they are started next."""
        with self._server(QUERY_TIMEOUT_S) as server:
            _call(server.supervisor.reloadConfig)

    def start(self, unit: wire.UnitEntry) -> None:
        """Start the program by its present definition and wait until it runs; a running one stays as it is."""
        if self.states([unit])[unit.name].running:
            return
        with self._server(unit.start_timeout_s + 5.0) as server:
            _renew(server, unit.name)
            try:
                _call(server.supervisor.startProcess, unit.name, True, allow=(ALREADY_STARTED,))
            except ServiceFailure as failure:
                what = f"{unit.name} did not start: {failure.what}"
                raise ServiceFailure(unit.name, what, self.log(unit)) from failure
        wait_active(self, unit, unit.start_timeout_s)

    def start_all(self, units: Sequence[wire.UnitEntry]) -> None:
        """Start the programs one after the other; raise the first failure at the end."""
        failures = []
        for unit in units:
            try:
                self.start(unit)
            except ServiceFailure as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def stop(self, unit: wire.UnitEntry) -> None:
        """Stop the program and wait until it has ended; one whose definition is gone is forgotten."""
        with self._server(unit.stop_timeout_s + 10.0) as server:
            _call(server.supervisor.stopProcess, unit.name, True, allow=(BAD_NAME, NOT_RUNNING))
            if not os.path.exists(self.definition_path(unit)):
                _call(server.supervisor.removeProcessGroup, unit.name, allow=(BAD_NAME,))

    def restart(self, unit: wire.UnitEntry) -> None:
        """Stop the program and start it by its present definition."""
        self.stop(unit)
        self.start(unit)

    def reload(self, unit: wire.UnitEntry) -> None:
        """Signal the program, or POST to its reload URL."""
        state = self.states([unit])[unit.name]
        if not state.running:
            raise ServiceFailure(unit.name, f"{unit.name} cannot reload: it is {describe(state)}", self.log(unit))
        if unit.reload is None:
            raise ServiceFailure(unit.name, f"{unit.name} knows no way to reload")
        if unit.reload.kind == "http":
            post_reload(self, unit, unit.reload.value)
            return
        with self._server(QUERY_TIMEOUT_S) as server:
            _call(server.supervisor.signalProcess, unit.name, unit.reload.value)

    def log(self, unit: wire.UnitEntry, lines: int = 20, since: float | None = None) -> str:  # noqa: ARG002
        """Return the last lines of the program's log file; they carry no times, so `since` cannot narrow them."""
        try:
            with open(f"{self.root}/var/log/{unit.name}.log", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_LIMIT))
                tail = file.read(LOG_LIMIT).decode("utf-8", "replace")
        except OSError as error:
            return f"(the log of {unit.name} could not be read: {error.strerror})"
        return "\n".join(tail.splitlines()[-lines:])

    def verify(self, units: Sequence[wire.UnitEntry], tree: str, current: str, scratch: str) -> list[str]:  # noqa: ARG002
        """Return what is wrong with the staged definitions: unreadable, not of the unit's name, program not there."""
        problems = []
        for unit in units:
            if unit.file:
                problems += verify_definition(unit.name, os.path.join(tree, unit.file), tree, current)
        return problems

    @contextlib.contextmanager
    def _server(self, timeout_s: float) -> Iterator[xmlrpc.client.ServerProxy]:
        # A connection of its own for each use: gates ask for states from several threads at once.
        transport = _Transport(self.socket_path, timeout_s)
        with xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport) as server:
            yield server


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        # A socket's path may have 107 bytes; a private root can be deeper, so it is reached through its folder.
        folder = os.open(os.path.dirname(self.path), os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(self.path)}")
        finally:
            os.close(folder)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__()
        self.path = path
        self.timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        # One for all requests of the proxy, remembered so that leaving the proxy closes it.
        connection = self._connection[1]
        if connection is None:
            connection = _Connection(self.path, self.timeout_s)
            self._connection = host, connection
        return connection


def parse_state(info: dict[str, Any], enabled: bool) -> UnitState:
    """Given supervisord's process information, return the state of the unit."""
    word = str(info["statename"])
    result = "success"
    if word == "EXITED":
        result = "exit-code" if info["exitstatus"] else "success"
        active, sub = ("failed", "exited") if info["exitstatus"] else ("inactive", "exited")
    else:
        active, sub = ACTIVE.get(word, ("unknown", word.lower()))
    if active == "failed" or sub == "auto-restart":
        result = str(info["spawnerr"]) or "exit-code"
    started = time.monotonic() - (int(info["now"]) - int(info["start"])) if info["pid"] else None
    return UnitState(str(info["name"]), active, sub, int(info["pid"]), 0, enabled, result, started)


def verify_definition(name: str, path: str, tree: str, current: str) -> list[str]:
    """Given a program's staged definition, return its problems, each led by the unit's name."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";", "#"))
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
        command = parser.get(f"program:{name}", "command")
        argv = shlex.split(command.replace("%%", "%").replace(current, tree))
    except (OSError, ValueError, configparser.Error) as error:
        return [f"{name}: {' '.join(str(error).split())}"]
    if parser.sections() != [f"program:{name}"]:
        return [f"{name}: the definition has the sections {', '.join(parser.sections())}, not program:{name} alone"]
    if not argv or not os.path.isabs(argv[0]):
        return [f"{name}: the command does not begin with an absolute path: {command}"]
    if not os.access(argv[0], os.X_OK) or os.path.isdir(argv[0]):
        return [f"{name}: {argv[0]} is not an executable file"]
    return []


def _renew(server: xmlrpc.client.ServerProxy, name: str) -> None:
    # One that dies and is started again by supervisord cannot be removed.
    _call(server.supervisor.stopProcess, name, True, allow=(BAD_NAME, NOT_RUNNING))
    # A group keeps the definition it was added with; a stopped one is removed and added to take the present one.
    _call(server.supervisor.removeProcessGroup, name, allow=(BAD_NAME,))
    _call(server.supervisor.addProcessGroup, name, allow=(ALREADY_ADDED,))


def _call(method: Any, *arguments: Any, allow: Sequence[int] = ()) -> Any:
    try:
        return method(*arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode in allow:
            return None
        raise ServiceFailure("", f"supervisord answered {fault.faultString}", str(fault.faultString)) from fault
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ServiceFailure("", "supervisord is not running", str(error)) from error
    except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
        raise ServiceFailure("", f"supervisord could not be asked: {error}", str(error)) from error
