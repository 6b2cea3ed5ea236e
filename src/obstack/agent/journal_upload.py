"""Ships this machine's journal to the server: over TLS, with the host's own certificate.

It goes on where the server last said that it has taken the lines, so what is written while the server is away comes
afterwards, and all of it. What it sends again after a crash carries the same mark (`journal_entries`), by which the
reader tells it. The certificate is read anew for each connection, so a renewed one needs no restart; and when the agent
is replaced, the new one's code goes on at the position.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import select
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NamedTuple

from obstack.agent import coding, durable
from obstack.agent.faults import AgentError
from obstack.agent.journal_entries import Entry, take_entries
from obstack.agent.journal_export import JOURNAL_TYPE
from obstack.agent.own_code import OwnCode

BATCH_BYTES = 1 << 20
CHUNK = 1 << 18
QUIET_S = 0.25
"""When nothing more has come for so long, what is there is sent."""

IDLE_S = 1.0

SAVE_EVERY_S = 2.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
POST_TIMEOUT_S = 60.0
FIRST_LINES_S = 3600
"""How much of the past is shipped at first; a journal of years would push the other hosts' lines out."""

TAKEN_HEADER = "Observability-Host"
"""The server's door sets it once it knows the host: an answer with it comes from the receiver behind the door."""

REFUSALS = (400, 413)


@dataclass(frozen=True)
class Settings:
    """What the uploader is told by its arguments."""

    url: str
    certificate: str
    key: str
    authority: str
    position: str
    journalctl: str


class Answer(NamedTuple):
    """What came of an attempt: whether the lines were taken, whether it is they that were refused, and in words."""

    taken: bool
    refused: bool
    text: str


def run(argv: Sequence[str]) -> int:
    """Given the command's arguments, ship until SIGTERM or SIGINT; return 0, or 1 when journalctl has ended."""
    code = OwnCode()
    settings = _parse(argv)
    for number in (signal.SIGTERM, signal.SIGINT):
        # An error, so that no waiting for an answer holds up the end; what was not taken is sent again next time.
        signal.signal(number, _leave)
    ended = Uploader(settings, code).run()
    if ended == 0:
        code.go_on()
    return ended


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


class Position:
    """How far the server has taken the journal: a file that is replaced as a whole, at most every two seconds."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._saved_at = 0.0
        self.cursor = ""
        self.since = time.time() - FIRST_LINES_S
        self._saved = self._read()

    def arguments(self) -> list[str]:
        """Return where journalctl has to begin; the entry at the cursor itself comes once more."""
        return [f"--cursor={self.cursor}"] if self.cursor else [f"--since=@{int(self.since)}"]

    def save(self, *, now: bool = False) -> None:
        """Write it down when that is due, or `now`."""
        content = json.dumps({"cursor": self.cursor, "since": self.since}).encode()
        if content == self._saved or not (now or time.monotonic() - self._saved_at > SAVE_EVERY_S):
            return
        self._saved_at = time.monotonic()
        try:
            durable.write_file(self._path, content, 0o600)
            self._saved = content
        except AgentError as error:
            # A full disk, say. Shipping goes on; a restart then sends more of it twice.
            print(f"the position cannot be kept: {error.what}", file=sys.stderr, flush=True)

    def _read(self) -> bytes:
        try:
            with open(self._path, "rb") as stream:
                content = stream.read()
            data = coding.load(content)
            self.cursor, self.since = str(data["cursor"]), float(data["since"])
        except (OSError, ValueError, LookupError, TypeError):
            # None yet, or spoiled: the last hour is shipped again rather than anything left out.
            return b""
        return content


class Source:
    """journalctl at work: entries after a position, for as long as it is asked."""

    def __init__(self, journalctl: str, position: Position) -> None:
        """Start it. Raises OSError."""
        self._skip = position.cursor
        self._rest = b""
        argv = [journalctl, "--output=export", "--follow", "--no-tail", "--quiet", "--no-pager", *position.arguments()]
        # Of all boots: --follow alone means the running one, and would leave out what was written before a power cut.
        # --merge lifts that, and the match keeps to this machine, should it have others' journals as well.
        argv += ["--merge", f"_MACHINE_ID={machine_identity()}"]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        )

    def batch(self) -> list[Entry] | None:
        """Return what has come, nothing after a quiet moment; None when journalctl has ended. Raises ValueError."""
        entries: list[Entry] = []
        size = 0
        descriptor = self._process.stdout.fileno()  # type: ignore[union-attr] # it was asked for as a pipe
        while size < BATCH_BYTES and select.select([descriptor], [], [], QUIET_S if entries else IDLE_S)[0]:
            chunk = os.read(descriptor, CHUNK)
            if not chunk:
                return entries or None
            found, self._rest = take_entries(self._rest + chunk)
            if self._skip and found:
                found = found[1:] if found[0].cursor == self._skip else found
                self._skip = ""
            entries += found
            size += sum(len(entry.body) for entry in found)
        return entries

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def machine_identity() -> str:
    """Return the machine's identity, which journald writes into each entry."""
    with open("/etc/machine-id", encoding="ascii") as stream:
        return stream.read().strip()


class Uploader:
    """Given settings and the code that runs, ship as long as that is the agent's."""

    def __init__(self, settings: Settings, code: OwnCode) -> None:
        self._settings = settings
        self._code = code
        self._position = Position(settings.position)
        self._connection: http.client.HTTPSConnection | None = None
        self._away = False

    def run(self) -> int:
        """Read, send, remember; return 0 when the agent was replaced, 1 when there is nothing to read from any more."""
        self._position.save(now=True)
        source = Source(self._settings.journalctl, self._position)
        try:
            while (entries := source.batch()) is not None:
                self._deliver(entries)
                self._position.save()
                if self._code.replaced():
                    return 0
        finally:
            self._position.save(now=True)
            self._close()
            source.close()
        print("journalctl ended; the unit's restart goes on at the position", file=sys.stderr, flush=True)
        return 1

    def _deliver(self, entries: Sequence[Entry]) -> None:
        """Send until the server has taken all, or the agent was replaced, whose code sends the rest."""
        pause_s = FIRST_PAUSE_S
        while entries and not self._code.replaced():
            answer = self._post(b"".join(entry.body for entry in entries))
            if answer.refused and len(entries) > 1:
                for entry in entries:
                    self._deliver([entry])
                return
            if answer.taken or answer.refused:
                if answer.refused:
                    print(
                        f"the server refused one entry, which is left out: {answer.text}", file=sys.stderr, flush=True
                    )
                self._say_back()
                self._position.cursor = entries[-1].cursor
                return
            self._say_away(answer.text)
            # Not all hosts at the same moment, when the server comes back.
            time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - nothing to guess
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _post(self, body: bytes) -> Answer:
        kept = self._connection is not None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            if not kept:
                return Answer(False, False, str(error) or type(error).__name__)
        # The server may have closed a connection that was idle: that is known only by using it.
        return self._post(body)

    def _exchange(self, body: bytes) -> Answer:
        parts = urllib.parse.urlsplit(self._settings.url)
        if self._connection is None:
            context = ssl.create_default_context(cafile=self._settings.authority)
            context.load_cert_chain(self._settings.certificate, self._settings.key)
            self._connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=POST_TIMEOUT_S, context=context
            )
        self._connection.request("POST", parts.path, body, {"Content-Type": JOURNAL_TYPE})
        answer = self._connection.getresponse()
        text = answer.read(1 << 16).decode("utf-8", "replace").strip()
        if answer.status // 100 == 2:
            return Answer(True, False, "")
        known = answer.getheader(TAKEN_HEADER) is not None
        self._close()
        return Answer(False, known and answer.status in REFUSALS, f"answer {answer.status}: {text[:200]}")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _say_away(self, text: str) -> None:
        # Once for each absence: these lines are shipped too, and must not feed themselves.
        if not self._away:
            print(f"the server does not take the journal, lines wait here: {text}", file=sys.stderr, flush=True)
        self._away = True

    def _say_back(self) -> None:
        if self._away:
            print("the server takes the journal again", file=sys.stderr, flush=True)
        self._away = False


def _parse(argv: Sequence[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="journal-upload", description=__doc__)
    parser.add_argument("--url", required=True, help="https://SERVER:PORT/upload")
    parser.add_argument("--certificate", required=True, help="PEM file of the host's certificate")
    parser.add_argument("--key", required=True, help="PEM file of its key")
    parser.add_argument("--authority", required=True, help="PEM file of the authority that signed the server's")
    parser.add_argument("--position", required=True, help="file that remembers how far the server has taken it")
    parser.add_argument("--journalctl", default="/usr/bin/journalctl", help="the program that reads the journal")
    return Settings(**vars(parser.parse_args(argv)))
