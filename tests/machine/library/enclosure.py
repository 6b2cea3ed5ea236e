"""What a booted machine and a sandbox have in common: a root of its own, processes of its own, commands run in it."""

from __future__ import annotations

import io
import shlex
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from machine.library.command import SEARCH_PATH, CommandFailed, Result, Running, call, children
from machine.library.control_group import ControlGroup
from machine.library.overlay import Overlay

Command = Sequence[str] | str
"""An argument list, or one string for the shell (bash, with pipefail)."""


class Enclosure:
    """A root with processes in namespaces and control groups of their own."""

    def __init__(self, name: str, overlay: Overlay, group: ControlGroup) -> None:
        self.name = name
        self.environment: Mapping[str, str] = {}
        self._overlay = overlay
        self._group = group
        self._monitor: Running | None = None
        self._started: list[Running] = []

    @property
    def root(self) -> Path:
        """Where the file tree is seen on the host. Its /tmp and /run are other ones inside."""
        return self._overlay.root

    @property
    def processor_s(self) -> float:
        """The processor time that its processes have used so far, in seconds."""
        return self._group.processor_s()

    @property
    def running(self) -> bool:
        """Whether there is a process 1."""
        return self._monitor is not None and not self._monitor.finished

    @property
    def processes(self) -> set[int]:
        """The host's ids of all its processes."""
        return self._group.processes()

    def start(
        self,
        command: Command,
        *,
        user: str = "root",
        directory: str = "/",
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Running:
        """Start a command inside and return it running.

        It gets a login's environment plus `environment`, and no capability that process 1 does not have either: a
        process entering from the host would otherwise bring along the host's, with which a test can reach the host.
        """
        argv = ["bash", "-o", "pipefail", "-c", command] if isinstance(command, str) else list(command)
        home = "/root" if user == "root" else f"/home/{user}"
        variables = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "HOME": home, "USER": user, "LOGNAME": user}
        variables |= {**self.environment, **(environment or {})}
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        inner = ["env", f"--chdir={directory}", *become, *argv]
        shown = f"{self.name}: {command if isinstance(command, str) else shlex.join(command)}"
        running = Running(self.entered(inner), shown=shown, environment=variables, stdin=stdin, wrapped=True)
        self._started = [*(each for each in self._started if not each.finished), running]
        return running

    def entered(self, argv: Sequence[str]) -> list[str]:
        """Return the host's command that runs `argv` inside, for those who want to speak with it themselves."""
        pid = self._first_process()
        outer = ["setpriv", f"--bounding-set={_bounding_set(pid)}", "nsenter", "--target", str(pid), "--all", "--"]
        return self._group.entered([*outer, *argv], "commands")

    def run(
        self,
        command: Command,
        *,
        user: str = "root",
        directory: str = "/",
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float = 60,
    ) -> Result:
        """Run a command inside and return its result, whatever its exit code.

        Raises:
            CommandFailed: it did not end in time.
        """
        running = self.start(command, user=user, directory=directory, environment=environment, stdin=stdin)
        return running.wait(timeout_s)

    def succeed(self, command: Command, *, user: str = "root", directory: str = "/", timeout_s: float = 60) -> Result:
        """Run a command that must exit with 0.

        Raises:
            CommandFailed: it did not.
        """
        result = self.run(command, user=user, directory=directory, timeout_s=timeout_s)
        if result.code != 0:
            raise CommandFailed("the command should have succeeded", result)
        return result

    def fail(self, command: Command, *, user: str = "root", directory: str = "/", timeout_s: float = 60) -> Result:
        """Run a command that must exit with something else than 0.

        Raises:
            CommandFailed: it exited with 0.
        """
        result = self.run(command, user=user, directory=directory, timeout_s=timeout_s)
        if result.code == 0:
            raise CommandFailed("the command should have failed", result)
        return result

    def wait_until_succeeds(self, command: Command, *, timeout_s: float = 60, interval_s: float = 0.2) -> Result:
        """Run a command again and again until it exits with 0.

        Raises:
            CommandFailed: it never did within the time; the last result is shown.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            result = self.run(command, timeout_s=max(1.0, deadline - time.monotonic()))
            if result.code == 0:
                return result
            if time.monotonic() > deadline:
                raise CommandFailed(f"the command did not succeed within {timeout_s} s", result)
            time.sleep(interval_s)

    def push(self, source: Path, target: str) -> None:
        """Copy a file or a folder of the host to the path `target` inside, as root, with its modes and times.

        Works on a machine that is off as well.
        """
        place = PurePosixPath(target)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(source, arcname=place.name, filter=_as_root)
        self._unpack(buffer.getvalue(), place.parent)

    def write(self, target: str, content: str, mode: int = 0o644) -> None:
        """Write a text file inside, as root. Works on a machine that is off as well."""
        place = PurePosixPath(target)
        data = content.encode()
        entry = tarfile.TarInfo(place.name)
        entry.size, entry.mode, entry.mtime = len(data), mode, int(time.time())
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(entry, io.BytesIO(data))
        self._unpack(buffer.getvalue(), place.parent)

    def pull(self, source: str, target: Path) -> None:
        """Copy a file or a folder from inside into the folder `target` of the host.

        Raises:
            CommandFailed: there is no such file.
        """
        place = PurePosixPath(source)
        packing = self.start(["tar", "-C", str(place.parent), "-c", place.name])
        result = packing.wait()
        if result.code != 0:
            raise CommandFailed(f"{source} could not be read", replace(result, stdout="(an archive)"))
        target.mkdir(parents=True, exist_ok=True)
        call(["tar", "-C", str(target), "-x"], stdin=packing.output())

    def kill(self) -> None:
        """End all processes at once, by SIGKILL; none gets to do anything more."""
        if self._monitor is not None:
            self._monitor.kill()
        self._group.kill()
        for running in self._started:
            running.kill()
        self._monitor = None

    def destroy(self) -> None:
        """Kill it and throw it away."""
        self.kill()
        self._group.remove()
        self._overlay.remove()

    def _launch(self, argv: Sequence[str]) -> None:
        self._group.create()
        self._monitor = Running(self._group.entered(argv, "monitor"), shown=f"{self.name}: {shlex.join(argv)}")

    def _first_process(self) -> int:
        """Return the host's id of process 1.

        Raises:
            CommandFailed: there is none: never started, switched off, or it did not come up.
        """
        if self._monitor is None:
            raise CommandFailed(f"{self.name} is off", self._log())
        for pid in children(self._monitor.pid):
            if _status(pid, "NSpid").endswith("\t1"):
                return pid
        raise CommandFailed(f"{self.name} has no process 1", self._log())

    def _log(self) -> Result:
        """Return what the program that holds it up has printed: for a machine, its console."""
        return Result("(none)", -1, "", "") if self._monitor is None else self._monitor.so_far()

    def _unpack(self, archive: bytes, folder: PurePosixPath) -> None:
        if self.running:
            unpack = f"mkdir -p {shlex.quote(str(folder))} && tar -C {shlex.quote(str(folder))} -x"
            result = self.run(unpack, stdin=archive)
            if result.code != 0:
                raise CommandFailed(f"{folder} could not be written", result)
            return
        outside = self.root / folder.relative_to("/")
        outside.mkdir(parents=True, exist_ok=True)
        call(["tar", "-C", str(outside), "-x"], stdin=archive)


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _bounding_set(pid: int) -> str:
    """Return, for setpriv, exactly the capabilities that the process can ever have."""
    mask = int(_status(pid, "CapBnd").split()[1], 16)
    return ",".join(["-all", *(f"+cap_{number}" for number in range(mask.bit_length()) if mask >> number & 1)])


def _status(pid: int, field: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return next((line for line in lines if line.startswith(f"{field}:")), "")
