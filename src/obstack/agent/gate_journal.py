"""The gate of the logs: a marked line is written the way services' lines are, and a query finds it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time

from obstack.agent import wire
from obstack.agent.gate_probe import GateContext, Probe, Red, expect, fetch, reason_of
from obstack.agent.journal_export import JOURNAL_TYPE, boot_identity, entry

MARK_FIELD = "OBSERVABILITY_MARK"


def log_line(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`log-line` {journalctl, environment, journal, endpoint}: a marked line is written and found by journalctl.

    `journal` is `system`, then the line goes to the machine's journal, or a directory of journals, then it is sent to
    the receiver at `endpoint`, which must write there. `journalctl` begins the query's argument list.
    """
    return _LogLine(gate, context)


class _LogLine:
    """Writes its line once; later tries only look for it."""

    def __init__(self, gate: wire.GateEntry, context: GateContext) -> None:
        self.argv = [str(word) for word in gate.params["journalctl"]]
        self.environment = {str(k): str(v) for k, v in (gate.params.get("environment") or {}).items()}
        self.journal = str(gate.params["journal"])
        self.endpoint = str(gate.params.get("endpoint") or "")
        self.socket_path = f"{context.root}/run/systemd/journal/socket"
        self.mark = secrets.token_hex(16)
        self.written = False

    def __call__(self) -> str:
        if not self.written:
            self._write()
            self.written = True
        where = [] if self.journal == "system" else [f"--directory={self.journal}"]
        query = ["--output=cat", "--no-pager", "--quiet", "--lines=1", f"{MARK_FIELD}={self.mark}"]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"} | self.environment
        try:
            done = subprocess.run(
                [*self.argv, *where, *query], env=environment, capture_output=True, check=False, timeout=15
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Red(f"the journal could not be queried: {reason_of(error)}") from error
        if self.mark.encode() not in done.stdout:
            complaint = (done.stderr or done.stdout)[-2048:].decode("utf-8", "replace")
            raise Red("the marked line was written but the query does not find it", complaint)
        return "a marked line was written and found by a query"

    def _write(self) -> None:
        if self.journal == "system":
            write_marked(self.socket_path, self.mark)
            return
        url = f"{self.endpoint}/upload"
        body = entry(_fields(self.mark), time.time_ns() // 1000, time.monotonic_ns() // 1000, boot_identity())
        answer = fetch(url, method="POST", body=body, content_type=JOURNAL_TYPE)
        expect(answer, 202, f"POST {url}")


def write_marked(socket_path: str, mark: str) -> None:
    """Given the machine's journal socket, write a line with the mark by the native protocol. Raises Red."""
    message = b"".join(b"%s=%s\n" % (name.encode(), value) for name, value in _fields(mark).items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.settimeout(3)
            journal.sendto(message, socket_path)
    except OSError as error:
        raise Red(f"the journal does not take lines: {reason_of(error)}") from error


def _fields(mark: str) -> dict[str, bytes]:
    return {
        "MESSAGE": f"gate probe {mark}".encode(),
        "PRIORITY": b"6",
        "SYSLOG_IDENTIFIER": b"observability-gate",
        MARK_FIELD: mark.encode(),
    }
