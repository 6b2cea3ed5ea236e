"""Resolves the names of a site on this machine, for preflight."""

from __future__ import annotations

import socket
import threading
from typing import Final

from obstack.agent.wire import Fact

PATIENCE_S: Final = 5.0


def resolve(name: str) -> Fact:
    """Given a host name, return the fact `domain`: its addresses, absent when there are none, or why it is unknown.

    The resolver has no deadline of its own, so it is left behind when it takes too long.
    """
    found: list[Fact] = []

    def look() -> None:
        try:
            rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            found.append(Fact("domain", "known", sorted({str(row[4][0]) for row in rows})))
        except socket.gaierror as error:
            absent = error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
            found.append(
                Fact("domain", "absent") if absent else Fact("domain", "unknown", reason=error.strerror or str(error))
            )

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return found[0] if found else Fact("domain", "unknown", reason=f"no answer within {PATIENCE_S:.0f} s")
