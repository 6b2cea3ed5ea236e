"""The machine that one request works on: its paths, its store, its service manager and the way to the controller."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType

from obstack.agent import wire
from obstack.agent.faults import INTERRUPTED, ROLLBACK_FAILED, AgentError
from obstack.agent.ledger import Ledger
from obstack.agent.paths import Paths, current_identity
from obstack.agent.services import ServiceManager
from obstack.agent.store import Store

INTERRUPTIONS = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """Turns SIGTERM and SIGINT into an error, but only where the work can be left: in an open region.

    Elsewhere the wish is remembered and answered at the next open region. It is answered once; the way back that
    follows cannot be interrupted.
    """

    def __init__(self) -> None:
        self._wished = False
        self._armed = False
        self._answered = False
        self._shielded = False

    def install(self) -> None:
        """Take over the signals of this process. A hang-up (the terminal or the connection went) is ignored.

        Who started the agent holds the others back until now: one that came meanwhile is received here.
        """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._receive)
        signal.signal(signal.SIGINT, self._receive)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)

    def wish(self) -> None:
        """Interrupt from any thread, as a signal would. Only a signal wakes a main thread that waits."""
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    @contextlib.contextmanager
    def region(self) -> Iterator[None]:
        """Let the block be interrupted. Raises AgentError `interrupted`, once."""
        if self._answered or self._shielded:
            yield
            return
        self._armed = True
        try:
            if self._wished:
                self._answer()
            yield
        finally:
            self._armed = False

    @property
    def pending(self) -> bool:
        """Tell whether an interruption is wished and not answered yet."""
        return self._wished and not self._answered and not self._shielded

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Let nothing inside the block be interrupted: a way back must be gone to its end."""
        before, self._shielded = self._shielded, True
        try:
            yield
        finally:
            self._shielded = before

    def check(self) -> None:
        """Answer a pending interruption here. Raises AgentError `interrupted`."""
        with self.region():
            pass

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self._wished = True
        if self._armed:
            self._answer()

    def _answer(self) -> None:
        self._armed = False
        self._answered = True
        raise AgentError(
            exit_code=INTERRUPTED,
            code="interrupted",
            what="The run was interrupted.",
            where="observability agent",
            do="observability apply",
        )


def no_events(event: wire.Event) -> None:
    """Show an event to nobody."""
    del event


def no_content(wanted: Mapping[str, int], folder: str) -> None:
    """Refuse to fetch: there is no controller to ask. Raises AgentError `content-missing`."""
    raise AgentError(
        exit_code=ROLLBACK_FAILED,
        code="content-missing",
        what=f"{len(wanted)} contents are not on this machine, and nobody is there to send them.",
        where=folder,
        do="observability apply",
    )


def no_confirmation(limit_s: float) -> bool:
    """Confirm nothing: there is no controller that could open a connection."""
    del limit_s
    return False


@dataclass
class Machine:
    """Given the root, everything the verbs work with.

    `emit` shows progress; `receive` asks the controller for contents (digest to size) and puts each into a folder
    under the name of its digest, not verified yet. `managers` gives the service manager of a manifest. `confirm` asks
    the controller to open a new connection, and says whether it has within so many seconds; any thread may call it.
    `request` is what is being answered, for whoever has to say who asked. `state_folder` is which folder (device and
    inode) the state folder was when the run began.
    """

    root: str
    managers: Callable[[str, str], ServiceManager]
    emit: Callable[[wire.Event], None] = no_events
    receive: Callable[[Mapping[str, int], str], None] = no_content
    interrupts: Interrupts = field(default_factory=Interrupts)
    confirm: Callable[[float], bool] = no_confirmation
    request: wire.Request | None = None
    state_folder: tuple[int, int] | None = None

    @property
    def paths(self) -> Paths:
        """Where things are."""
        return Paths(self.root)

    @property
    def store(self) -> Store:
        """The content-addressed store."""
        return Store(self.paths)

    def ledger(self) -> Ledger:
        """Return what was made outside the state folder, read anew."""
        return Ledger.load(self.paths.ledger)

    def manager(self, manifest: wire.Manifest) -> ServiceManager:
        """Return the service manager that the manifest names."""
        return self.managers(manifest.manager, self.root)

    def event(self, step: str, state: str, message: str = "", **data: object) -> None:
        """Show one event."""
        self.emit(wire.Event(step, state, message, dict(data)))

    def current(self) -> str | None:
        """Return the identity of the generation in force."""
        return current_identity(self.paths)
