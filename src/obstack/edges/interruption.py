"""How a Ctrl-C reaches an agent: once, from whichever thread, and never by killing the way to it.

What starts an agent holds interruptions back and keeps it out of the terminal's reach, so that they come here alone.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

PATIENCE_S = 2.0
"""A wish within this time of the first is the same one: a key pressed twice."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Hands an interruption on to the agent, once, from whichever thread it comes.

    Who wishes it again, later than `patience_s`, no longer wants to wait for the agent's answer.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._turn = threading.RLock()  # a signal may arrive while the main thread is in here
        self._send: Callable[[], None] | None = None
        self._give_up: Callable[[], None] | None = None
        self._wished = False
        self._since = 0.0

    def concern(self, send: Callable[[], None], give_up: Callable[[], None] | None = None) -> None:
        """Given the way to the agent that was started, interrupt it if that was wished before.

        `give_up` ends the waiting for an agent that does not answer; None: it is always waited for.
        """
        with self._turn:
            self._send, self._give_up = send, give_up
            if self._wished:
                send()

    def wish(self) -> None:
        """Interrupt the agent at work, or the next one."""
        with self._turn:
            if not self._wished:
                self._wished, self._since = True, time.monotonic()
                if self._send is not None:
                    self._send()
            elif self._give_up is not None and time.monotonic() - self._since >= self._patience_s:
                self._give_up()

    @contextlib.contextmanager
    def by_signals(self) -> Iterator[None]:
        """Within the block, take SIGINT and SIGTERM as the wish. Signals only reach a program's main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def wish(number: int, frame: FrameType | None) -> None:
            del number, frame
            self.wish()

        before: dict[int, Any] = {number: signal.signal(number, wish) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Start a program with interruptions held back: the agent receives them once it can answer, and does not die."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
