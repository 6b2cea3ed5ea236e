"""The gate of the front door: TLS that verifies, answers for those who may enter, 401 for the others."""

from __future__ import annotations

import base64
import http.client
import os
import secrets
import ssl

from obstack.agent import wire
from obstack.agent.gate_probe import (
    REQUEST_TIMEOUT_S,
    Answer,
    GateContext,
    Probe,
    Red,
    TlsConnection,
    exchange,
    expect,
    reason_of,
)

REDIRECTS = (301, 308)
DIGEST_HEADER = "observability-configuration"


def front_door(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`front-door` {address, https_port, http_port, host, authority, credentials, paths, refused?, plain?, digest?}.

    Each path answers 200 to good credentials over TLS that verifies against `authority` for `host`, 401 to a wrong
    password and to none; plain HTTP redirects to HTTPS. `authority` and `credentials` are files of the tree; without an
    authority, those that the machine trusts verify. A write (POST) to each path of `refused` is answered with 403, for
    the account is one that only reads. A `plain` front door answers on `http_port` without TLS, and another program
    does TLS before it. With `digest`, every answer must carry it in the header Observability-Configuration: nginx goes
    on with its old configuration while it reloads, and for good when it cannot load the new one.
    """
    door = _Door(gate, context)

    def probe() -> str:
        credentials = door.credentials()
        user = credentials.partition(":")[0]
        connection = door.connect()
        try:
            for path in door.paths:
                expect(door.get(connection, path, credentials), 200, f"GET {path} through the front door")
                for who, given in (("a wrong password", f"{user}:{secrets.token_urlsafe(12)}"), ("no password", None)):
                    status = door.get(connection, path, given).status
                    if status != 401:
                        raise Red(f"GET {path} through the front door with {who} answered {status}, not 401")
            for path in door.refused:
                expect(door.post(connection, path, credentials), 403, f"POST {path} by an account that only reads")
        finally:
            connection.close()
        if door.plain:
            return f"{', '.join(door.paths)} answer without TLS to those who may enter"
        door.redirected()
        return f"{', '.join(door.paths)} answer over TLS to those who may enter"

    return probe


def set_usual_strictness(context: ssl.SSLContext) -> None:
    """Given what verifies, let it take what browsers and curl take, whatever the version of Python.

    Newer ones refuse authorities that lack extensions which many a company's own has never had.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


class _Door:
    def __init__(self, gate: wire.GateEntry, context: GateContext) -> None:
        params = gate.params
        self.address, self.host = str(params["address"]), str(params["host"])
        self.https_port, self.http_port = int(params["https_port"]), int(params["http_port"])
        authority = str(params["authority"])
        self.authority = os.path.join(context.tree, authority) if authority else None
        self.secret = os.path.join(context.tree, str(params["credentials"]))
        self.digest = str(params.get("digest") or "")
        self.paths = [str(path) for path in params["paths"]]
        self.refused = [str(path) for path in params.get("refused", ())]
        self.plain = bool(params.get("plain"))

    def credentials(self) -> str:
        try:
            with open(self.secret, encoding="utf-8") as file:
                return file.read().strip()
        except OSError as error:
            raise Red(f"the gate's credentials cannot be read: {reason_of(error)}") from error

    def connect(self) -> http.client.HTTPConnection:
        if self.plain:
            return http.client.HTTPConnection(self.address, self.http_port, timeout=REQUEST_TIMEOUT_S)
        try:
            context = ssl.create_default_context(cafile=self.authority)
            set_usual_strictness(context)
        except (OSError, ssl.SSLError) as error:
            raise Red(f"the authority's certificate cannot be read: {reason_of(error)}") from error
        return TlsConnection(self.address, self.https_port, self.host, context)

    def get(self, connection: http.client.HTTPConnection, path: str, credentials: str | None) -> Answer:
        return self._ask(connection, "GET", path, credentials)

    def post(self, connection: http.client.HTTPConnection, path: str, credentials: str) -> Answer:
        return self._ask(connection, "POST", path, credentials)

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, credentials: str | None) -> Answer:
        headers = {"Host": self._name(self.https_port, 443)}
        if credentials is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
        place = f"{'http' if self.plain else 'https'}://{headers['Host']}"
        return self._current(exchange(connection, method, path, headers, place=place))

    def redirected(self) -> None:
        connection = http.client.HTTPConnection(self.address, self.http_port, timeout=REQUEST_TIMEOUT_S)
        name = self._name(self.http_port, 80)
        try:
            answer = self._current(exchange(connection, "GET", self.paths[0], {"Host": name}, place=f"http://{name}"))
        finally:
            connection.close()
        location = answer.headers.get("location", "")
        if answer.status not in REDIRECTS or not location.startswith(f"https://{self._name(self.https_port, 443)}/"):
            to = f" to {location}" if location else ""
            raise Red(f"http://{name} answered {answer.status}{to}, not a redirect to HTTPS")

    def _current(self, answer: Answer) -> Answer:
        seen = answer.headers.get(DIGEST_HEADER, "")
        if self.digest and seen != self.digest:
            raise Red(f"nginx does not run configuration {self.digest[:12]} (seen: {seen[:12] or 'none'})")
        return answer

    def _name(self, port: int, usual: int) -> str:
        return self.host if port == usual else f"{self.host}:{port}"
