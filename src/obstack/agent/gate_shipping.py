"""The gates of the central logs: a host's line is taken by the server, and the server takes lines from hosts alone."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import ssl
import subprocess
import time
import urllib.parse

from obstack.agent import trusted, wire
from obstack.agent.gate_journal import MARK_FIELD, write_marked
from obstack.agent.gate_probe import (
    REQUEST_TIMEOUT_S,
    Answer,
    GateContext,
    Probe,
    Red,
    TlsConnection,
    exchange,
    reason_of,
)
from obstack.agent.journal_entries import place
from obstack.agent.journal_files import last_line

HOST_HEADER = "observability-host"
DIGEST_HEADER = "observability-configuration"


POSITION_LIMIT = 4096
EXPIRED = 10
"""What OpenSSL calls a certificate whose time is over."""


class Away(Exception):
    """The server cannot be reached. The journal waits on the host until it can, so that is no fault of the host's."""


def journal_shipped(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`journal-shipped` {url, certificate, key, authority, position, journalctl}: the server takes a marked line.

    `certificate`, `key` and `authority` are files of the tree; `position` is the file in which the uploader keeps how
    far the server has taken the journal. A server that cannot be reached, or does not know the host yet, is green and
    said: hosts are changed before the server.
    """
    return _Shipped(gate, context)


class _Shipped:
    """Writes its line once; later tries only look how far the uploader has come."""

    def __init__(self, gate: wire.GateEntry, context: GateContext) -> None:
        params = gate.params
        self.url = urllib.parse.urlsplit(str(params["url"]))
        self.files = {
            name: os.path.join(context.tree, str(params[name])) for name in ("certificate", "key", "authority")
        }
        self.position = str(params["position"])
        self.journalctl = str(params["journalctl"])
        self.socket_path = f"{context.root}/run/systemd/journal/socket"
        self.mark = secrets.token_hex(16)
        self.written = False

    def __call__(self) -> str:
        if not self.written:
            write_marked(self.socket_path, self.mark)
            self.written = True
        # Asked by the certificate of this generation: the uploader's connection may be older than that.
        try:
            answer = self._ask()
        except Away as error:
            return f"{self.url.hostname} cannot be reached ({error}); the journal waits on this host until it can"
        if answer.status == http.HTTPStatus.FORBIDDEN:
            return f"{self.url.hostname} does not know this host yet; the journal waits here until it does"
        if HOST_HEADER not in answer.headers:
            raise Red(f"{self.url.netloc} does not accept this host's certificate: {answer.status}", answer.excerpt())
        if self._passed():
            return f"{self.url.hostname} has taken a marked line of this host"
        raise Red(f"the marked line has been written, but {self.url.hostname} has not taken it")

    def _passed(self) -> bool:
        """Tell whether the position is behind the marked line."""
        mark = self._mark_cursor()
        try:
            taken = str(json.loads(trusted.content(self.position, POSITION_LIMIT))["cursor"])
            (series, number), (own_series, own_number) = place(taken), place(mark)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return False
        return series == own_series and number >= own_number

    def _mark_cursor(self) -> str:
        argv = [self.journalctl, "--output=json", "--output-fields=MESSAGE", "--no-pager", "--quiet", "--lines=1"]
        try:
            done = subprocess.run(
                [*argv, f"{MARK_FIELD}={self.mark}"],
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                capture_output=True,
                check=False,
                timeout=15,
            )
            return str(json.loads(done.stdout)["__CURSOR"])
        except (OSError, ValueError, LookupError, subprocess.TimeoutExpired) as error:
            raise Red(f"the marked line is not found in this machine's journal: {reason_of(error)}") from error

    def _ask(self) -> Answer:
        host, port = self.url.hostname or "", self.url.port or 443
        try:
            tls = ssl.create_default_context(cafile=self.files["authority"])
            tls.load_cert_chain(self.files["certificate"], self.files["key"])
        except (OSError, ssl.SSLError) as error:
            raise Red(f"the certificates of the shipping cannot be read: {reason_of(error)}") from error
        connection = http.client.HTTPSConnection(host, port, timeout=REQUEST_TIMEOUT_S, context=tls)
        try:
            connection.connect()
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == EXPIRED:
                # The server is applied after its hosts: it cannot be given a new one while they are red for it.
                raise Away(f"the certificate of {self.url.netloc} has expired") from error
            raise Red(f"{self.url.netloc} is not the server that this host trusts: {reason_of(error)}") from error
        except OSError as error:
            raise Away(reason_of(error)) from error
        try:
            return exchange(connection, "GET", self.url.path, {}, place=self.url.netloc)
        finally:
            connection.close()


def journal_received(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`journal-received` {address, port, host, authority, digest, folder, hosts}: the door is open to hosts alone.

    TLS at `address` verifies for `host` by `authority`, the configuration with `digest` answers, and who shows no
    certificate is refused. It tells when the last line of each host was written.
    """
    params = gate.params
    address, port, host = str(params["address"]), int(params["port"]), str(params["host"])
    authority = os.path.join(context.tree, str(params["authority"]))
    folder, digest = str(params["folder"]), str(params["digest"])
    hosts = [str(name) for name in params["hosts"]]

    def probe() -> str:
        try:
            tls = ssl.create_default_context(cafile=authority)
        except (OSError, ssl.SSLError) as error:
            raise Red(f"the authority's certificate cannot be read: {reason_of(error)}") from error
        connection = TlsConnection(address, port, host, tls)
        try:
            answer = exchange(connection, "GET", "/upload", {"Host": host}, place=f"{address}:{port}")
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.BAD_REQUEST:
            raise Red(f"the door for journals answered {answer.status} to somebody without a certificate, not 400")
        seen = answer.headers.get(DIGEST_HEADER, "")
        if seen != digest:
            raise Red(f"the door does not run configuration {digest[:12]} (seen: {seen[:12] or 'none'})")
        return "last lines: " + ", ".join(f"{name} {_ago(last_line(os.path.join(folder, name)))}" for name in hosts)

    return probe


def _ago(moment: float | None) -> str:
    if moment is None:
        return "none yet"
    seconds = max(0, int(time.time() - moment))
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
