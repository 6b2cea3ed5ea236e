"""The gate of an exporter: it answers by TLS as the host it is, with the series it is there for, and nobody else."""

from __future__ import annotations

import http.client
import io
import os
import re
import ssl
import urllib.parse

from obstack.agent import wire
from obstack.agent.gate_front_door import DIGEST_HEADER
from obstack.agent.gate_probe import (
    Answer,
    GateContext,
    Probe,
    Red,
    TlsConnection,
    ended_in_time,
    exchange,
    expect,
    reason_of,
)

LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]{0,127})="((?:[^"\\]|\\.)*)"')
BODY_LIMIT = 32 << 20
LINE_LIMIT = 1 << 16
"""An exporter is watched, not trusted: what it says costs neither memory nor time without end."""
REFUSALS = (400, 401, 403, 495, 496)
"""What a proxy answers to a client without a certificate; the exporters themselves end the handshake."""


def exporter(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`exporter` {url, server_name, authority, certificate, key, metric, digest?}.

    With the gate's certificate the URL answers, verified against `authority` for `server_name`, and among its series is
    one of the metric: a name, or a name with labels in braces, which it must have. Without a certificate nothing is
    had. With `digest`, the answer must carry it in the header Observability-Configuration. `authority`, `certificate`
    and `key` are files of the tree.
    """
    endpoint = _Endpoint(gate, context)
    metric, digest = str(gate.params["metric"]), str(gate.params.get("digest") or "")

    def probe() -> str:
        answer = expect(endpoint.get(), 200, f"GET {endpoint.target}")
        seen = answer.headers.get(DIGEST_HEADER, "")
        if digest and seen != digest:
            raise Red(f"the proxy does not run configuration {digest[:12]} (seen: {seen[:12] or 'none'})")
        if not has_series(answer.body, metric):
            raise Red(f"GET {endpoint.target} answered without {metric}", answer.excerpt())
        endpoint.demand_refusal()
        return f"{metric} is there for the server, and nothing for who has no certificate"

    return probe


def has_series(exposition: bytes, selector: str) -> bool:
    """Given metrics in the text format and `name` or `name{label="value",…}`, return whether such a series is there.

    A line that is longer than any honest one is passed over.
    """
    name, _, braces = selector.partition("{")
    wanted = set(LABEL.findall(braces))
    for raw in io.BytesIO(exposition):
        if not raw.startswith(name.encode()) or len(raw) > LINE_LIMIT:
            continue
        rest = raw.decode("utf-8", "replace").rstrip("\r\n")[len(name) :]
        if rest[:1] in (" ", "\t"):
            labels: set[tuple[str, str]] = set()
        elif rest[:1] == "{":
            labels = set(LABEL.findall(rest))
        else:
            continue  # another metric, whose name begins the same
        if wanted <= labels:
            return True
    return False


class _Endpoint:
    def __init__(self, gate: wire.GateEntry, context: GateContext) -> None:
        parts = urllib.parse.urlsplit(str(gate.params["url"]))
        self.address, self.port = parts.hostname or "", parts.port or 443
        self.target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self.name = str(gate.params["server_name"])
        self.place = f"{self.name}:{self.port}"
        self.authority, self.certificate, self.key = (
            os.path.join(context.tree, str(gate.params[name])) for name in ("authority", "certificate", "key")
        )

    def get(self) -> Answer:
        """Ask with the certificate of the gate."""
        connection = self._connect(self._context(known=True))
        try:
            headers = {"Host": self.place}
            return exchange(connection, "GET", self.target, headers, place=self.place, limit=BODY_LIMIT)
        finally:
            connection.close()

    def demand_refusal(self) -> None:
        """Ask without a certificate; raise Red when that is answered, or when nothing at all is said."""
        connection = self._connect(self._context(known=False))
        try:
            with ended_in_time(connection):
                connection.request("GET", self.target, headers={"Host": self.place})
                response = connection.getresponse()
                response.read(1024)
        except TimeoutError as error:
            raise Red(f"{self.place} says nothing to a client without a certificate") from error
        except (OSError, http.client.HTTPException):
            return  # the handshake, or what came after it, was refused
        finally:
            connection.close()
        if response.status not in REFUSALS:
            raise Red(f"{self.place} answered {response.status} to a client without a certificate")

    def _connect(self, context: ssl.SSLContext) -> http.client.HTTPConnection:
        return TlsConnection(self.address, self.port, self.name, context)

    def _context(self, *, known: bool) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if known:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise Red(f"the certificates of the gate cannot be read: {reason_of(error)}") from error
        return context
