"""What a machine lets in, seen from another: every TCP port is knocked at, and some UDP ports.

Whoever is let in gets an answer, be it that nothing listens there; whoever is not gets none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from machine.library.machine import Machine

ALL: Final = range(1, 65536)
UDP_SAMPLE: Final = (53, 67, 68, 69, 111, 123, 137, 161, 443, 500, 514, 546, 1900, 4500, 5353, 5355, 9100, 51820)

PROGRAM: Final = """
import errno, json, resource, select, socket, struct, sys

AT_ONCE, WAIT_S = 12000, 0.8

def scan(address, ports, kind):
    answers = {"open": [], "refused": []}
    for start in range(0, len(ports), AT_ONCE):
        poll, pending = select.epoll(), {}
        for port in ports[start : start + AT_ONCE]:
            knock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind | socket.SOCK_NONBLOCK)
            if kind == socket.SOCK_STREAM:
                # The end of a connection that was made takes nobody's time.
                knock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            knock.connect_ex((address, port))
            if kind == socket.SOCK_DGRAM:
                knock.send(b"knock")
            pending[knock.fileno()] = knock, port
            poll.register(knock, select.EPOLLIN if kind == socket.SOCK_DGRAM else select.EPOLLOUT)
        # Nothing more will come once nothing has come for a while.
        while pending and (found := poll.poll(WAIT_S)):
            for number, _ in found:
                knock, port = pending.pop(number)
                code = knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                knock.close()
                if code in (0, errno.ECONNREFUSED):
                    answers["refused" if code else "open"].append(port)
        for knock, _ in pending.values():
            knock.close()
    return answers

limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
wanted = json.load(sys.stdin)
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
print(json.dumps(scan(wanted["address"], wanted["ports"], kinds[wanted["protocol"]])))
"""


@dataclass(frozen=True)
class Seen:
    """The ports that answered: `open` where something listens, `refused` where nothing does."""

    open: frozenset[int]
    refused: frozenset[int]

    @property
    def answering(self) -> frozenset[int]:
        """All ports that the firewall lets through."""
        return self.open | self.refused


def scan(of: Machine, address: str, ports: Iterable[int] = ALL, protocol: str = "tcp") -> Seen:
    """Knock from a machine at the ports of an address, and return what answered."""
    wanted = json.dumps({"address": address, "ports": list(ports), "protocol": protocol})
    done = of.start(["python3", "-c", PROGRAM], stdin=wanted.encode()).wait(120)
    assert done.code == 0, done.stderr
    found = done.json()
    return Seen(frozenset(found["open"]), frozenset(found["refused"]))
