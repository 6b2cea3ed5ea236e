"""What it means when ssh, sudo or the agent ended without a reply: each cause with what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from obstack.edges.conversation import last_lines
from obstack.errors import Lost, Unreachable

SSH_FAILED: Final = 255
"""The exit code of ssh for its own errors; any other is that of the remote command."""
NOT_FOUND: Final = 127

UNTOUCHED: Final = "nothing was changed"
GOES_ON: Final = (
    "the agent goes on by itself if it had begun: the machine ends in the old or the new generation, never in between"
)


@dataclass(frozen=True)
class Cause:
    """A cause that ssh names in its own words: any of `signs`, searched for in its complaints."""

    code: str
    signs: tuple[str, ...]
    what: str
    do: str


CAUSES: Final = (
    Cause(
        "ssh-host-key-changed",
        ("REMOTE HOST IDENTIFICATION HAS CHANGED",),
        "The machine shows another host key than the known one: it was set up anew, or somebody is in between.",
        "compare the key at the machine's console; if it is the right one: ssh-keygen -R {host}    then {ssh} true",
    ),
    Cause(
        "ssh-host-key-unknown",
        ("Host key verification failed", "host key is known for"),
        "The host key of the machine is not known here.",
        "{ssh} true    compare the key with the machine's own and accept it, then run the same command again",
    ),
    Cause(
        "ssh-permission-denied",
        ("Permission denied (", "Too many authentication failures"),
        "The machine does not let us in by key; passwords are never asked for.",
        "ssh-copy-id {options}    or name a key in ssh.identity of the host; then: {ssh} true",
    ),
    Cause(
        "ssh-refused",
        ("Connection refused",),
        "The machine refuses connections to its SSH port.",
        "start sshd on the machine, or correct ssh.port of the host; then: {ssh} true",
    ),
    Cause(
        "ssh-name-unknown",
        ("Could not resolve hostname",),
        "The name of the machine is not known.",
        "correct ssh.destination or address of the host; then: {ssh} true",
    ),
    Cause(
        "ssh-timed-out",
        ("timed out", "Operation timed out", "No route to host", "Network is unreachable"),
        "The machine does not answer.",
        "see whether it is up and reachable: {ssh} true",
    ),
    Cause(
        "ssh-configuration",
        ("Bad configuration option", "bad configuration options", "Bad port", "Bad owner or permissions"),
        "ssh does not take its settings.",
        "correct ssh.options of the host or ~/.ssh/config; then: {ssh} true",
    ),
)
"""Looked for in this order: a changed key is also said to have failed verification."""

REFUSALS: Final = {
    "python-too-old": (
        "The machine has Python {detail}; the agent needs 3.10 or newer.",
        "install a newer python3 on the machine",
    ),
    "sudo-missing": (
        "The SSH user is not root, and the machine has no sudo.",
        "install sudo on the machine, or log in as root",
    ),
    "agent-damaged": (
        "The agent did not arrive on the machine as it was sent.",
        "run the same command again",
    ),
    "agent-not-installed": (
        "The agent could not be kept on the machine: {detail}.",
        "make room on, or mount writable, /var/lib/observability of the machine",
    ),
}
"""What the loader refuses for: what happened, and what to do."""

LOST: Final = (
    "closed by",
    "reset by",
    "not responding",
    "timed out",
    "Broken pipe",
    "send disconnect",
    "Software caused connection abort",
    "ssh_dispatch_run_fatal",
)
"""What ssh says of a connection that went. It says nothing of a remote command that a signal killed."""

SUDO_REFUSES: Final = (
    "a password is required",
    "a terminal is required",
    "authentication is required",
    "not in the sudoers",
    "not allowed to",
    "may not run sudo",
)
"""How the implementations of sudo say no."""


@dataclass(frozen=True)
class Login:
    """How a machine is reached, for messages: the node's name, and the arguments that lead ssh there."""

    node: str
    options: tuple[str, ...]
    destination: str

    @property
    def command(self) -> str:
        """The command that opens the same connection by hand."""
        return shlex.join(["ssh", *self.options, self.destination])

    @property
    def where(self) -> str:
        """The machine, as an error names it."""
        return f"{self.node}, ssh {self.destination}"

    def filled(self, text: str) -> str:
        """Return a text with the placeholders {ssh}, {options} and {host} filled in."""
        host = self.destination.rpartition("@")[2]
        return text.format(ssh=self.command, options=shlex.join([*self.options, self.destination]), host=host)


def refused(login: Login, code: str, detail: str) -> Unreachable:
    """Given what the loader says, return the error."""
    what, do = REFUSALS.get(code, ("The machine refused to run the agent: {detail}.", "run the same command again"))
    return Unreachable(
        code=code,
        what=what.format(detail=detail),
        where=login.where,
        state=UNTOUCHED,
        do=f"{do}, then run the same command again" if "again" not in do else do,
    )


def ended(login: Login, code: int, complaints: bytes, *, answered: bool) -> Unreachable:
    """Given how ssh ended and what it said, return the error; `answered` is whether the agent had spoken."""
    text = complaints.decode("utf-8", "replace")
    if answered:
        return _lost(login, code, complaints, Lost)
    if code == SSH_FAILED:
        for cause in CAUSES:
            if _says(text, cause.signs):
                return _error(login, cause.code, cause.what, login.filled(cause.do), complaints)
        return _lost(login, code, complaints, Unreachable)
    if code == NOT_FOUND:
        what, do = "The machine has no python3, which the agent is run by.", "install python3 (3.10 or newer) there"
        return _error(login, "python-missing", what, f"{do}, then run the same command again", complaints)
    if "sudo" in text and _says(text, SUDO_REFUSES):
        what = "The SSH user is not root, and sudo does not let it become root without a password."
        user = login.destination.rpartition("@")[0] or "USER"
        do = f"on the machine, as root: echo '{user} ALL=(root) NOPASSWD: ALL' > /etc/sudoers.d/observability"
        return _error(login, "sudo-refused", what, do, complaints)
    return _died(login, code, complaints, Unreachable)


def silent(login: Login, limit_s: float, complaints: bytes) -> Lost:
    """Given for how long nothing came from a machine whose connection stands, return the error."""
    return Lost(
        code="agent-silent",
        what=f"The machine said nothing for {limit_s:.0f} s, although the connection stands; it was given up.",
        where=login.where,
        state=GOES_ON,
        do=f"{login.command} uptime    shows whether it hangs; then: observability status --host {login.node}",
        detail=last_lines(complaints),
    )


def unintelligible(login: Login, reason: str, complaints: bytes) -> Lost:
    """Given what is wrong with what a machine says, return the error."""
    return Lost(
        code="agent-unintelligible",
        what=f"What the machine says is not what an agent says: {reason}.",
        where=login.where,
        state=GOES_ON,
        do=f"{login.command} true    must print nothing but what the login shell greets with",
        detail=last_lines(complaints),
    )


def _says(text: str, signs: Sequence[str]) -> bool:
    return any(sign in text for sign in signs)


def _error(login: Login, code: str, what: str, do: str, complaints: bytes) -> Unreachable:
    return Unreachable(code=code, what=what, where=login.where, state=UNTOUCHED, do=do, detail=last_lines(complaints))


def _lost(login: Login, code: int, complaints: bytes, family: type[Unreachable]) -> Unreachable:
    """The connection went, or ssh did, while the agent may have been at work; unless it was the agent that went."""
    if code >= 0 and not _says(complaints.decode("utf-8", "replace"), LOST):
        return _died(login, code, complaints, family)
    return family(
        code="connection-lost",
        what="The connection to the machine was lost before the agent replied.",
        where=login.where,
        state=GOES_ON,
        do=f"observability status --host {login.node}    then repeat the command: it waits for nobody and goes on",
        detail=last_lines(complaints),
    )


def _died(login: Login, code: int, complaints: bytes, family: type[Unreachable]) -> Unreachable:
    return family(
        code="agent-died",
        what=f"The agent {'was killed' if code == SSH_FAILED else f'ended with {code}'} before it replied.",
        where=login.where,
        state="the machine is in the old or the new generation, or the next command puts it there",
        do=f"observability status --host {login.node}    it first finishes what was left",
        detail=last_lines(complaints),
    )
