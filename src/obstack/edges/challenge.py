"""Looks, before an authority is asked, whether its challenge could be answered: nothing is spent when it could not."""

from __future__ import annotations

import http.client
import os
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from obstack.agent import durable, wire
from obstack.agent.faults import AgentError
from obstack.edges.certificate_proof import SYSTEM_STORE

PATH: Final = ".well-known/acme-challenge"
TIMEOUT_S: Final = 5.0
LARGEST_DIRECTORY: Final = 64 * 1024
PUBLIC_PORT: Final = 80
"""Authorities come to this port, and to no other."""


class Challenges:
    """The folder from which the front door answers challenges, and the ways that lead to it."""

    def __init__(self, webroot: str, http_port: int) -> None:
        """Given the folder, and the port on which this machine answers http."""
        self.webroot = webroot
        self._http_port = http_port

    def directory_fault(self, url: str, authority: str) -> str:
        """Given the address of an authority's directory, return why it cannot be spoken to; empty when it can.

        `authority` is the certificate by which to know it, beside those that the machine trusts.
        """
        import httpx

        context = ssl.create_default_context(cafile=SYSTEM_STORE if os.path.exists(SYSTEM_STORE) else None)
        try:
            if authority:
                context.load_verify_locations(cadata=authority)
            with httpx.stream("GET", url, verify=context, timeout=TIMEOUT_S * 2) as answer:
                if answer.status_code != 200:
                    return f"it answered {answer.status_code}"
                document = wire.load(_bounded(answer.iter_bytes()))
            return "" if isinstance(document, dict) and "newOrder" in document else "it is no directory of ACME"
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, ValueError) as error:
            text = str(error) or type(error).__name__
            return "".join(letter if letter.isprintable() else " " for letter in text)[:300]

    def own_fault(self, name: str) -> str:
        """Given a name, return why this machine's front door does not answer a challenge for it; empty when it does."""
        return self._fault("127.0.0.1", self._http_port, name)

    def public_fault(self, name: str) -> tuple[str, bool]:
        """Given a name, return why nothing good comes back from where it leads to; empty when it does.

        And whether something else answered there: then an authority would be led astray as well. That nothing did may
        be due to where this machine stands.
        """
        fault = self._fault(name, PUBLIC_PORT, name)
        return fault, fault.startswith(_ANSWERED)

    def _fault(self, address: str, port: int, name: str) -> str:
        try:
            with self._placed() as (path, content):
                connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)
                try:
                    connection.request("GET", f"/{path}", headers={"Host": name})
                    answer = connection.getresponse()
                    body = answer.read(4096)
                finally:
                    connection.close()
        except AgentError as error:
            return error.what
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return f"no answer from {address} port {port}: {reason.lower()}"
        if answer.status == 200 and body == content:
            return ""
        return f"{_ANSWERED} {address} port {port} with {answer.status} and not with what lies in {self.webroot}"

    @contextmanager
    def _placed(self) -> Iterator[tuple[str, bytes]]:
        """Put a file where certbot would, for as long as it is asked for."""
        path, content = f"{PATH}/observability-{secrets.token_hex(16)}", secrets.token_hex(16).encode()
        place = os.path.join(self.webroot, path)
        durable.make_directory(os.path.dirname(place), 0o755)
        durable.write_file(place, content, 0o644)
        try:
            yield path, content
        finally:
            durable.remove(place)


def _bounded(pieces: Iterator[bytes]) -> bytes:
    """Return an answer that is whole in time. Raises ValueError for one without end, or that drips."""
    found, deadline = b"", time.monotonic() + TIMEOUT_S * 4
    for piece in pieces:
        found += piece
        if len(found) > LARGEST_DIRECTORY or time.monotonic() > deadline:
            raise ValueError("its answer has no end")
    return found


_ANSWERED: Final = "something else answered at"
