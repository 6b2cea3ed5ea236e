"""One command: started, waited for, and shown in full when it did not do what was asked."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Result:
    """What a finished command left. Its text form is what an assertion shows: command, exit code and both outputs."""

    command: str
    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return (
            f"command:   {self.command}\nexit code: {self.code}\n"
            f"--- stdout ---\n{self.stdout.rstrip()}\n--- stderr ---\n{self.stderr.rstrip()}"
        )

    def json(self) -> Any:
        """Return standard output read as one JSON document.

        Raises:
            CommandFailed: it is not one.
        """
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise CommandFailed(f"standard output is not JSON: {error}", self) from error


class CommandFailed(AssertionError):
    """A command did not do what the test asked of it."""

    def __init__(self, what: str, result: Result) -> None:
        super().__init__(f"{what}\n{result}")
        self.result = result


class Running:
    """A started command. Its output goes to files in memory, so that a daemon it leaves behind makes no wait hang."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        shown: str = "",
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        wrapped: bool = False,
    ) -> None:
        """Start `argv` in a session of its own.

        `shown` is the command as errors show it. `environment` is the whole environment; None is this process's own.
        `wrapped` says that the command proper is the child of the process started here (as with nsenter).
        """
        self.shown = shown or shlex.join(argv)
        self._wrapped = wrapped
        self._stdout = os.memfd_create("stdout")
        self._stderr = os.memfd_create("stderr")
        weakref.finalize(self, os.closerange, self._stdout, self._stdout + 1)
        weakref.finalize(self, os.closerange, self._stderr, self._stderr + 1)
        with open(os.memfd_create("stdin"), "w+b") as source:
            source.write(stdin)
            source.seek(0)
            self._process = subprocess.Popen(
                argv,
                stdin=source,
                stdout=self._stdout,
                stderr=self._stderr,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id on the host."""
        return self._process.pid

    @property
    def finished(self) -> bool:
        """Whether the command has ended."""
        return self._process.poll() is not None

    def so_far(self) -> Result:
        """Return what there is now; the exit code is -1 while the command still runs."""
        code = self._process.poll()
        return Result(self.shown, -1 if code is None else code, _text(self._stdout), _text(self._stderr))

    def output(self) -> bytes:
        """Return standard output as it is, for commands that write something else than text."""
        return _content(self._stdout)

    def wait(self, timeout_s: float = 60) -> Result:
        """Wait for the end and return the result, whatever the exit code.

        Raises:
            CommandFailed: it did not end in time; it has been killed.
        """
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            result = self.so_far()
            self.kill()
            raise CommandFailed(f"the command did not end within {timeout_s} s", result) from None
        return self.so_far()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command proper; nothing happens when it has ended."""
        for pid in children(self._process.pid) if self._wrapped else [self._process.pid]:
            send(pid, number)

    def kill(self) -> None:
        """Kill the command with all it started in its session, and wait for its end."""
        if not self.finished:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def call(argv: Sequence[str], *, timeout_s: float = 60, stdin: bytes = b"") -> Result:
    """Run a command on the host and return its result.

    Raises:
        CommandFailed: it exited with something else than 0, or did not end in time.
    """
    result = Running(argv, stdin=stdin).wait(timeout_s)
    if result.code != 0:
        raise CommandFailed("a command on the host failed", result)
    return result


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children, none when it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _content(descriptor: int) -> bytes:
    # The file's offset is shared with the command, which writes at it: read by position, never seek.
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _text(descriptor: int) -> str:
    return _content(descriptor).decode(errors="replace")
