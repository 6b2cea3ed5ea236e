"""The way to the agent of another machine: the system's OpenSSH client as a child process, one for each request.

The user's keys, agent, jump hosts, known_hosts and settings hold as they are. What ssh starts there (`ssh_loader`)
finds the agent by its digest and becomes it; the request is on its way already, so that nothing is waited for twice.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from obstack.agent import wire
from obstack.agent.paths import Paths
from obstack.edges import ssh_loader
from obstack.edges.agent_archive import PackedAgent, packed_agent
from obstack.edges.conversation import Bounds, Conversation, Unintelligible
from obstack.edges.interruption import Interruption, held_back
from obstack.edges.ssh_faults import Login, ended, refused, silent, unintelligible
from obstack.errors import Unreachable
from obstack.ports import Contents

if TYPE_CHECKING:  # the model costs a tenth of a second, which a run that changes nothing has not to spare
    from collections.abc import Sequence

SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Final = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

FIRM: Final = ("BatchMode=yes",)
"""What no setting of the user changes: nobody is there to answer a question."""
DEFAULTS: Final = (
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
)
"""What holds where the host's own options say nothing else: a machine that went away is noticed within 15 s."""
NEW_CONNECTION: Final = ("ControlMaster=no", "ControlPath=none", "ConnectTimeout=5")
CONFIRM_S: Final = 12
SILENCE_S: Final = 120.0
"""So long a machine may say nothing while its connection stands; its agent says at least that it is alive."""
HOST: Final = Bounds(line=4 << 20, messages=20_000, served=64, confirmed=4, asked=2, patience_s=3600.0)
"""Of a host, which the server does not trust. It says some hundred things, and that it is alive four times a minute."""
COMPLAINTS: Final = 1 << 16
"""So much of the end of what ssh complained is looked at."""
END_S: Final = 15
"""So long ssh may take to end after the reply; then it is killed, for nothing is to be expected any more."""


class Access(Protocol):
    """How ssh reaches a machine, as model.host.Ssh says it."""

    @property
    def destination(self) -> str | None:
        """[user@]host, or None for root at the machine's address."""

    @property
    def port(self) -> int | None:
        """Port of sshd, or None for what ssh decides."""

    @property
    def identity(self) -> str | None:
        """File of the private key, or None for what ssh decides."""

    @property
    def options(self) -> Sequence[str]:
        """Further settings for ssh, each as `Name=value`."""


class Reached(Protocol):
    """A machine to be reached, as model.host.Host describes it."""

    @property
    def address(self) -> str:
        """A host name or an address."""

    @property
    def ssh(self) -> Access | None:
        """How ssh reaches it; None when it does not."""


@dataclass(frozen=True)
class SshChannel:
    """Given the node's name, how the host is reached and a folder to keep the packed agent in, reach its agent.

    `environment` is added to the little that the agent is given. A machine that says nothing for `silence_s` is given
    up.
    """

    node: str
    host: Reached
    cache: Path
    environment: tuple[tuple[str, str], ...] = ()
    silence_s: float = SILENCE_S
    _interruption: Interruption = field(default_factory=Interruption, repr=False, compare=False)

    def interrupt(self) -> None:
        """Tell the agent, once, to leave off; what it did then is told by its reply."""
        self._interruption.wish()

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        """Send the request, serve what the agent needs, pass its events on and return its reply.

        An interruption (SIGINT, SIGTERM) is forwarded, and the reply's fault then says what the agent did. Raises
        Unreachable when there is no way to the machine or its agent, or the connection is lost.
        """
        agent = packed_agent(self.cache)
        with tempfile.TemporaryFile() as complaints:
            with held_back():
                process = subprocess.Popen(
                    self._argv(self._command(agent)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    start_new_session=True,
                )
            hooks = {"agent-absent": _sending(agent), "agent-installed": _asking_anew, "refused": self._refused}
            conversation = Conversation(
                process,
                request,
                contents,
                on_event,
                confirm=self._reachable,
                hooks=hooks,
                silence_s=self.silence_s,
                bounds=bounds_of(request),
            )
            self._interruption.concern(conversation.interrupt, process.kill)
            try:
                with self._interruption.by_signals():
                    reply = conversation.hold()
            except Unintelligible as error:
                process.kill()
                raise unintelligible(self._login, str(error), _end_of(complaints)) from error
            finally:
                conversation.close()
                _end(process)
            if reply is None and conversation.endless:
                raise unintelligible(self._login, "it comes to no end", _end_of(complaints))
            if reply is None and conversation.silent:
                raise silent(self._login, self.silence_s, _end_of(complaints))
            if reply is None:
                raise ended(self._login, process.returncode, _end_of(complaints), answered=conversation.answered)
        return reply

    @property
    def _ssh(self) -> Access:
        if self.host.ssh is None:
            raise Unreachable(
                code="ssh-off",
                what="The host is served by bundles only: its configuration has `ssh: null`.",
                where=self.node,
                state="nothing was changed",
                do=f"observability host bundle {self.node} -o {self.node}.bundle    and run it on the host",
            )
        return self.host.ssh

    @property
    def _login(self) -> Login:
        ssh = self._ssh
        options = ["-p", str(ssh.port)] if ssh.port else []
        options += ["-i", os.path.expanduser(ssh.identity)] if ssh.identity else []
        for setting in ssh.options:
            options += ["-o", setting]
        return Login(self.node, tuple(options), ssh.destination or f"root@{self.host.address}")

    def _argv(self, command: str, firm: tuple[str, ...] = FIRM) -> list[str]:
        # The first value of a setting is the one that holds.
        before = [word for setting in firm for word in ("-o", setting)]
        after = [word for setting in DEFAULTS for word in ("-o", setting)]
        login = self._login
        return ["ssh", "-T", *before, *login.options, *after, "--", login.destination, command]

    def _command(self, agent: PackedAgent) -> str:
        variables = [f"{name}={value}" for name, value in (ENVIRONMENT | dict(self.environment)).items()]
        words = [_loader_text(), Paths("").agents, agent.digest, agent.source_digest, *variables]
        return f"exec python3 -I -S -c {shlex.join(words)}"

    def _reachable(self) -> bool:
        """Open a new connection and tell whether that was possible."""
        argv = self._argv("true", (*FIRM, *NEW_CONNECTION))
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=CONFIRM_S,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _refused(self, conversation: Conversation, message: dict[str, Any]) -> None:
        del conversation
        raise refused(self._login, str(message.get("code")), str(message.get("detail")))


def bounds_of(request: wire.Request) -> Bounds:
    """Given a request to a host, return what its agent may demand: amply what an honest one could, and not more."""
    manifest = request.manifest
    units_s = sum(unit.start_timeout_s + unit.stop_timeout_s for unit in manifest.units) if manifest else 0
    proofs_s = sum(check.timeout_s for check in manifest.checks) if manifest else 0
    gates_s = max((gate.deadline_s for gate in manifest.gates), default=0) if manifest else 0
    # All of it once for the way there and once for the way back.
    return replace(HOST, patience_s=HOST.patience_s + request.wait_s + 2 * (units_s + proofs_s + gates_s))


def _end_of(complaints: IO[bytes]) -> bytes:
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - COMPLAINTS))
    return complaints.read()


@lru_cache(maxsize=1)
def _loader_text() -> str:
    return Path(ssh_loader.__file__).read_text("utf-8")


def _sending(agent: PackedAgent) -> Callable[[Conversation, dict[str, Any]], None]:
    def send(conversation: Conversation, message: dict[str, Any]) -> None:
        del message
        conversation.withdraw(f"agent {len(agent.content)}\n".encode() + agent.content)

    return send


def _asking_anew(conversation: Conversation, message: dict[str, Any]) -> None:
    del message
    conversation.ask()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait until ssh has ended."""
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            with contextlib.suppress(OSError):
                process.stdout.close()
