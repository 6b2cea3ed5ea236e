"""A host sets itself up: it asks the server for its bundle by ssh, applies it here, and has the server take it in.

    setup-monitored-host.sh SERVER_ADDRESS [--ssh USER@SERVER] [--name NAME] [--address ADDRESS]
                            [--server-program PATH] [--yes] [--json]

Nothing but the standard library, ssh and this checkout is needed. ssh asks for what it needs: keys, agent and settings
are those of whoever runs this, and only the change itself is made as root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from obstack.agent import telling, wire
from obstack.agent.faults import CHANGE_FAILED, CHECK_FAILED, INTERRUPTED, USAGE, AgentError
from obstack.agent.machine import INTERRUPTIONS

UNREACHABLE = 6
SSH_FAILED = 255
NOT_FOUND = (126, 127)
NOTHING = "nothing was changed"
SOURCE = Path(__file__).parents[2]
AGENT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from obstack.agent.__main__ import main; sys.exit(main(['serve']))"
)


def main(arguments: Sequence[str]) -> int:
    """Given the command line, set this host up and return the exit code."""
    wish = _parse(arguments)
    document: dict[str, Any] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="observability-") as folder:
            code = Joining(wish, Path(folder), document).run()
    except (AgentError, KeyboardInterrupt) as problem:
        error = problem if isinstance(problem, AgentError) else _interrupted()
        code = error.exit_code
        document["error"] = wire.encode(error.fault())
        if not wish.json:
            sys.stderr.write("".join(f"{line}\n" for line in telling.fault_lines(error.fault())))
    if wish.json:
        sys.stdout.write(f"{json.dumps(document, indent=2)}\n")
    return code


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="setup-monitored-host.sh", description="Set this host up to be monitored by a server.", allow_abbrev=False
    )
    parser.add_argument("server", metavar="SERVER_ADDRESS", help="the server: a name or an address")
    parser.add_argument("--ssh", metavar="[USER@]SERVER", help="where ssh goes; without it, the server's address")
    parser.add_argument("--name", default=platform.node().partition(".")[0], help="name of this host; its host name")
    parser.add_argument("--address", help="where the server scrapes this host; the address that leads to the server")
    parser.add_argument("--server-program", metavar="PATH", default="observability", help="the program on the server")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args(arguments)


@dataclass
class Joining:
    """One run: what is wished, a private folder, and the document that becomes the result."""

    wish: argparse.Namespace
    folder: Path
    document: dict[str, Any]
    elevated: list[str] = field(default_factory=lambda: [] if os.geteuid() == 0 else ["sudo"])

    def run(self) -> int:
        """Do it, step by step. Raises AgentError."""
        self._judge()
        name: str = self.wish.name
        address = self.wish.address or _own_address(self.wish.server)
        self.document |= {"host": name, "address": address, "server": self.wish.server}
        self._step(f"Describing {name} on {self.wish.server}")
        described = self._server("host", "join", name, "--address", address, "--json")
        self.document["added"] = described["added"]
        self._step("Detecting services here")
        self.document["detected"] = self._detect(name, described["looks"])
        self._step("Fetching the bundle")
        bundle = self._fetch(name)
        self._confirm(bundle)
        code = self._apply(bundle)
        if code:
            return code
        self._step(f"Letting {self.wish.server} take this host in")
        words = ("apply", "--host", described["server"], "--yes", "--json", "--quiet")
        self.document["server_result"] = self._server(*words, code=None)
        return self._conclude(name)

    # ------------------------------------------------------------------------------------------ the steps

    def _judge(self) -> None:
        """Refuse a machine that cannot be set up. Raises AgentError `not-ready`."""
        missing = [
            what
            for what, there in (
                ("systemd as process 1", os.path.isdir("/run/systemd/system")),
                ("the ssh client (package openssh-client)", shutil.which("ssh") is not None),
                ("sudo, or being root", not self.elevated or shutil.which("sudo") is not None),
            )
            if not there
        ]
        if missing:
            raise AgentError(
                exit_code=CHECK_FAILED,
                code="not-ready",
                what=f"This machine lacks {' and '.join(missing)}.",
                where=platform.node(),
                do="install what is missing, then run this again",
                state=NOTHING,
            )

    def _detect(self, name: str, looks: list[Any]) -> list[str]:
        """Look for what the server's modules watch, and have the host's file say what was found."""
        request = wire.Request("detect", {"looks": looks})
        argv = [*self.elevated, sys.executable, "-I", "-S", "-c", AGENT, str(SOURCE)]
        done = subprocess.run(argv, input=wire.line(request), stdout=subprocess.PIPE, check=False)
        reply = wire.decode(wire.Reply, json.loads(done.stdout.splitlines()[-1])) if done.stdout else None
        if reply is None or reply.fault is not None:
            raise _failed("this machine could not be looked at", reply.fault.what if reply and reply.fault else "")
        found = self._server("host", "join", name, "--seen", "-", "--json", stdin=json.dumps(reply.data).encode())
        return list(found["added"])

    def _fetch(self, name: str) -> Path:
        """Have the server make the bundle, keep it for this run only, and prove it."""
        path = self.folder / f"{name}.bundle"
        path.touch(mode=0o600)
        path.write_bytes(self._ssh(("host", "bundle", name, "-o", "-", "--quiet")))
        done = subprocess.run([sys.executable, path, "verify", "--json"], stdout=subprocess.PIPE, check=False)
        verified = json.loads(done.stdout) if done.returncode == 0 else {}
        if verified.get("node") != name:
            raise _failed("the bundle did not arrive whole", "")
        self.document["bundle"] = verified
        return path

    def _confirm(self, bundle: Path) -> None:
        """Show what would be done here, and ask. Raises AgentError `declined` or `confirmation-needed`."""
        if self.wish.yes:
            return
        subprocess.run([*self.elevated, sys.executable, bundle, "show"], stdout=sys.stderr, check=False)
        if not sys.stdin.isatty():
            raise _not_confirmed(USAGE, "confirmation-needed", "This needs a confirmation; there is no terminal.")
        sys.stderr.write("Make this host so? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise _not_confirmed(INTERRUPTED, "declined", "The change was not confirmed.")

    def _apply(self, bundle: Path) -> int:
        """Apply the bundle; its messages are its own. Return its exit code."""
        argv = [*self.elevated, sys.executable, str(bundle), "apply", *(["--json"] if self.wish.json else [])]
        code, result = _watched(argv, kept=self.wish.json)
        if self.wish.json:
            self.document["host_result"] = json.loads(result or b"{}")
            if "error" in self.document["host_result"]:
                self.document["error"] = self.document["host_result"].pop("error")
        return code

    def _conclude(self, name: str) -> int:
        result = self.document["server_result"]
        error = result.get("error")
        if error is not None:
            raise AgentError(
                exit_code=int(error["exit_code"]),
                code=str(error["code"]),
                what=f"This host is set up, but the server could not take it in: {error['what']}",
                where=f"{self.wish.server}: {error['where']}",
                do=f"on the server: {error['do']}",
                state=error.get("state"),
                detail=error.get("detail"),
            )
        if not self.wish.json:
            sys.stdout.write(f"{name} is monitored by {self.wish.server}\n")
            sys.stdout.write(f"on the server, this host is described in config/hosts/{name}.yaml\n")
        return 0

    # ------------------------------------------------------------------------------------------ the server

    def _server(self, *words: str, stdin: bytes = b"", code: int | None = 0) -> Any:
        """Run the program on the server and return its document. `code` None takes an error as a document too."""
        content = self._ssh(words, stdin=stdin, fails=code is None)
        try:
            return json.loads(content)
        except ValueError as error:
            raise _failed(f"the server answered something else than a document to {words[0]}", str(error)) from error

    def _ssh(self, words: Sequence[str], *, stdin: bytes = b"", fails: bool = False) -> bytes:
        """Run the program on the server and return what it wrote. Raises AgentError with what the server says."""
        destination = self.wish.ssh or self.wish.server
        # One login for all steps: whoever is asked for a passphrase is asked once.
        shared = ["-o", "ControlMaster=auto", "-o", f"ControlPath={self.folder}/%C", "-o", "ControlPersist=30"]
        argv = ["ssh", "-T", *shared, "--", destination, _server_command(self.wish.server_program, words)]
        done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, check=False)
        if done.returncode == 0 or (fails and done.stdout):
            return done.stdout
        if done.returncode == SSH_FAILED:
            raise AgentError(
                exit_code=UNREACHABLE,
                code="server-unreachable",
                what="The server could not be reached by ssh.",
                where=destination,
                do=f"{shlex.join(['ssh', destination, 'true'])}    must work; --ssh USER@SERVER names another way",
                state=NOTHING,
            )
        if done.returncode in NOT_FOUND:
            raise AgentError(
                exit_code=UNREACHABLE,
                code="server-program-missing",
                what=f"The server has no program {self.wish.server_program}.",
                where=destination,
                do="name its place there: --server-program /srv/observability/observability",
                state=NOTHING,
            )
        raise self._refused(words, done)

    def _refused(self, words: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> AgentError:
        try:
            error = json.loads(done.stdout)["error"]
        except (ValueError, KeyError, TypeError):
            what = f"`observability {shlex.join(words)}` ended with {done.returncode} on the server"
            return _failed(what, "", exit_code=done.returncode)
        return AgentError(
            exit_code=done.returncode,
            code=str(error["code"]),
            what=str(error["what"]),
            where=f"{self.wish.server}: {error['where']}",
            do=f"on the server: {error['do']}",
            state=NOTHING,
            detail=error.get("detail"),
        )

    def _step(self, message: str) -> None:
        if not self.wish.json:
            sys.stderr.write(f"{message} …\n")


def _watched(argv: Sequence[str], *, kept: bool) -> tuple[int, bytes]:
    """Run the change, hand interruptions on to it, and wait for what it makes of them: it must never be killed.

    Return its exit code, and what it wrote when that is to be kept.
    """
    with subprocess.Popen(argv, stdout=subprocess.PIPE if kept else None) as process:

        def hand_on(number: int, frame: FrameType | None) -> None:
            del frame
            with contextlib.suppress(OSError):  # it has ended, or is root's and gets it from the terminal
                process.send_signal(number)

        before: dict[int, Any] = {number: signal.signal(number, hand_on) for number in INTERRUPTIONS}
        try:
            result, _ = process.communicate()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return process.returncode, result or b""


def _server_command(program: str, words: Sequence[str]) -> str:
    """Return what the server's shell is given: the program in its own folder, where its configuration is, as root."""
    folder, _, name = program.rpartition("/")
    argv = shlex.join([f"./{name}" if folder else name, *words])
    enter = f"cd {shlex.quote(folder)} || exit 127; " if folder else ""
    script = f'{enter}if [ "$(id -u)" = 0 ]; then exec {argv}; else exec sudo -n {argv}; fi'
    return f"sh -c {shlex.quote(script)}"


def _own_address(server: str) -> str:
    """Return the address of this machine that leads to the server. No packet is sent. Raises AgentError."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(server, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as way:
            way.connect(place)
            return str(way.getsockname()[0])
    except OSError as error:
        raise AgentError(
            exit_code=UNREACHABLE,
            code="server-unreachable",
            what="There is no way from here to the server's address.",
            where=f"{server}: {error}",
            do="correct the address, or say where the server finds this host: --address ADDRESS",
            state=NOTHING,
        ) from error


def _failed(what: str, detail: str, exit_code: int = CHANGE_FAILED) -> AgentError:
    return AgentError(
        exit_code=exit_code,
        code="joining-failed",
        what=f"Setting this host up did not succeed: {what}.",
        where=platform.node(),
        do="use the same version on both ends, then run this again: every step finds what is done already",
        state=NOTHING,
        detail=detail or None,
    )


def _interrupted() -> AgentError:
    return AgentError(
        exit_code=INTERRUPTED,
        code="interrupted",
        what="The run was interrupted.",
        where="this terminal",
        do="run it again: every step finds what is done already",
        state="nothing was changed here",
    )


def _not_confirmed(exit_code: int, code: str, what: str) -> AgentError:
    return AgentError(
        exit_code=exit_code,
        code=code,
        what=what,
        where="this terminal",
        do="run it again with --yes when it is wanted",
        state="the server has the description of this host; nothing was changed here",
    )
