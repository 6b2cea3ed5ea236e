"""Taking everything off again: what was begun is ended, and nobody is told otherwise."""

from __future__ import annotations

import os
import signal

from crash.world import World
from obstack.agent import wire
from obstack.ports import Contents


def test_a_purge_that_was_begun_is_not_broken_off(small: World) -> None:
    small.apply(small.generation("one"))

    def interrupt(event: wire.Event) -> None:
        if (event.step, event.state) == ("act", "started"):
            os.kill(os.getpid(), signal.SIGINT)

    reply = small.channel().ask(wire.Request("uninstall", {"purge": True}), Contents(), interrupt)
    assert (reply.outcome, reply.fault) == ("committed", None)
    assert not (small.root / "var/lib/alpha").exists()
    assert not small.state.exists()
