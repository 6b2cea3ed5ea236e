"""The way to the agent of this machine: a child process, lines of JSON over its standard input and output.

The agent runs in a session of its own, so a Ctrl-C at the terminal reaches this program alone, which forwards it once:
the agent then leaves off before the switch, or goes back after it, and tells which.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from obstack.agent import wire
from obstack.edges.agent_archive import agent_folder
from obstack.edges.conversation import Conversation, last_lines
from obstack.edges.interruption import Interruption, held_back
from obstack.errors import Lost
from obstack.ports import Contents


@dataclass(frozen=True)
class LocalChannel:
    """Given the node's name, the root prefix (empty on a server) and a folder to keep the agent in, reach the agent.

    `python` runs it; `environment` is added to the little that it is given.
    """

    node: str
    root: str
    cache: Path
    python: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()
    _interruption: Interruption = field(default_factory=Interruption, repr=False, compare=False)

    def interrupt(self) -> None:
        """Tell the agent, once, to leave off; what it did then is told by its reply."""
        self._interruption.wish()

    def ask(self, request: wire.Request, contents: Contents, on_event: Callable[[wire.Event], None]) -> wire.Reply:
        """Send the request, serve what the agent needs, pass its events on and return its reply.

        An interruption (SIGINT, SIGTERM) is forwarded, and the reply's fault then says what the agent did. Raises
        Unreachable when the agent dies without a reply.
        """
        # -I -S: the agent is given the standard library and nothing else.
        argv = [self.python, "-I", "-S", str(agent_folder(self.cache)), "--root", self.root, "serve"]
        with tempfile.TemporaryFile() as complaints:
            with held_back():
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    start_new_session=True,
                    cwd="/",
                    env=self._environment(),
                )

            def interrupt() -> None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)

            self._interruption.concern(interrupt)
            with process, self._interruption.by_signals():
                conversation = Conversation(process, request, contents, on_event)
                reply = conversation.hold()
                conversation.close()
                process.wait()
            if reply is None:
                complaints.seek(0)
                raise self._died(process.returncode, complaints.read())
        return reply

    def _environment(self) -> dict[str, str]:
        paths = dict.fromkeys(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        return {"PATH": ":".join(paths), "LANG": "C.UTF-8", **dict(self.environment)}

    def _died(self, code: int, complaints: bytes) -> Lost:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return Lost(
            code="agent-died",
            what=f"The agent {how} before it replied.",
            where=f"{self.node}, {self.root or '/'}",
            state="the machine is in the old or the new generation, or the next command puts it there",
            do="observability recover    then observability status",
            detail=last_lines(complaints),
        )
