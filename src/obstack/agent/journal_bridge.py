"""Carries the lines of supervised programs into a real journal, for machines without systemd.

supervisord writes each program's output to `<name>.log`. This program follows those files, posts new lines to the
loopback systemd-journal-remote and forgets old ones by `journalctl --vacuum-…`. Positions are durable and advance only
when the receiver has taken the lines, so every line arrives at least once, whatever stops in between.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

from obstack.agent import log_files
from obstack.agent.journal_export import JOURNAL_TYPE, boot_identity, entry
from obstack.agent.own_code import OwnCode

POLL_S = 0.25
LONGEST_PAUSE_S = 10.0
POST_TIMEOUT_S = 30

PRIORITIES = {
    b"emerg": 0, b"panic": 0, b"alert": 1, b"fatal": 2, b"crit": 2, b"critical": 2, b"error": 3, b"err": 3,
    b"warn": 4, b"warning": 4, b"notice": 5, b"info": 6, b"debug": 7, b"trace": 7,
}  # fmt: skip
LEVEL = re.compile(rb"""(?:\b(?:level|lvl)["']?[=:]\s*["']?|\[)([a-z]+)""", re.IGNORECASE)
HEAD_BYTES = 512


@dataclass(frozen=True)
class Settings:
    """What the bridge is told by its arguments."""

    logs: str
    positions: str
    endpoint: str
    journal: str
    journalctl: str
    libraries: str
    maximum_size: str
    maximum_age: str
    vacuum_every_s: int


def run(argv: Sequence[str]) -> int:
    """Given the command's arguments, carry lines until SIGTERM or SIGINT and return 0."""
    code = OwnCode()
    settings = _parse(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Bridge(settings, stop, code).run()
    if not stop.is_set():
        code.go_on()
    return 0


class Bridge:
    """Given settings, carry lines until `stop` is set. What was read but not taken is read again next time.

    It also ends when `code` is not the agent's any more.
    """

    def __init__(self, settings: Settings, stop: threading.Event, code: OwnCode) -> None:
        self.settings = settings
        self.stop = stop
        self.code = code
        self.boot = boot_identity()
        self.host = os.uname().nodename.encode()
        self.monotonic_us = 0
        self.away = False

    def run(self) -> None:
        """Follow, post, vacuum; return when told to stop, and when the agent was replaced."""
        reader = log_files.Reader(self.settings.logs, self.settings.positions)
        pause_s = POLL_S
        vacuumed = 0.0
        while not self.stop.is_set() and not self.code.replaced():
            lines = reader.read()
            if not lines:
                pause_s = POLL_S
            elif self._post(lines):
                reader.commit()
                pause_s = 0.0
            else:
                reader.rewind()
                pause_s = min(max(pause_s, POLL_S) * 2, LONGEST_PAUSE_S)
            if time.monotonic() - vacuumed > self.settings.vacuum_every_s or not vacuumed:
                vacuumed = time.monotonic()
                self._vacuum()
            self.stop.wait(pause_s)

    def _post(self, lines: Sequence[log_files.Line]) -> bool:
        body = b"".join(self._entry(line) for line in lines)
        parts = urllib.parse.urlsplit(self.settings.endpoint)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=POST_TIMEOUT_S)
        try:
            connection.request("POST", f"{parts.path}/upload", body, {"Content-Type": JOURNAL_TYPE})
            answer = connection.getresponse()
            text = answer.read(1024).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException) as error:
            self._say_away(f"the journal's receiver is away, lines wait: {error}")
            return False
        finally:
            connection.close()
        if answer.status // 100 != 2:
            self._say_away(f"the journal's receiver answered {answer.status}, lines wait: {text}")
            return False
        self.away = False
        return True

    def _entry(self, line: log_files.Line) -> bytes:
        # Strictly growing, so that lines read together keep their order.
        self.monotonic_us = max(self.monotonic_us + 1, time.monotonic_ns() // 1000)
        fields = {
            "MESSAGE": line.text,
            "PRIORITY": b"%d" % priority_of(line.text),
            "SYSLOG_IDENTIFIER": line.name.encode(),
            "OBSERVABILITY_UNIT": line.name.encode(),
            "_HOSTNAME": self.host,
        }
        return entry(fields, time.time_ns() // 1000, self.monotonic_us, self.boot)

    def _say_away(self, text: str) -> None:
        # Once for each absence: this output is a log file too, and must not feed itself.
        if not self.away:
            print(f"level=warn {text}", file=sys.stderr, flush=True)
        self.away = True

    def _vacuum(self) -> None:
        settings = self.settings
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        if settings.libraries:
            environment["LD_LIBRARY_PATH"] = settings.libraries
        argv = [
            settings.journalctl,
            f"--directory={settings.journal}",
            f"--vacuum-size={settings.maximum_size}",
            f"--vacuum-time={settings.maximum_age}",
            "--quiet",
        ]
        try:
            done = subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=120)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"level=error old journals could not be removed: {error}", file=sys.stderr, flush=True)
            return
        if done.returncode:
            complaint = done.stderr[-512:].decode("utf-8", "replace").strip()
            print(f"level=error old journals could not be removed: {complaint}", file=sys.stderr, flush=True)


def priority_of(text: bytes) -> int:
    """Given a line, return the syslog priority that its beginning names (`level=warn`, `[error]`), else 6."""
    for match in LEVEL.finditer(text[:HEAD_BYTES]):
        priority = PRIORITIES.get(match[1].lower())
        if priority is not None:
            return priority
    return 6


def _parse(argv: Sequence[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="journal-bridge", description=__doc__)
    parser.add_argument("--logs", required=True, help="folder of the programs' log files")
    parser.add_argument("--positions", required=True, help="file that remembers how far each log was carried")
    parser.add_argument("--endpoint", required=True, help="base URL of systemd-journal-remote")
    parser.add_argument("--journal", required=True, help="folder in which the receiver writes")
    parser.add_argument("--journalctl", required=True, help="the program that removes old journals")
    parser.add_argument("--libraries", default="", help="folders of shared libraries for journalctl alone")
    parser.add_argument("--maximum-size", required=True, help="for example 500M")
    parser.add_argument("--maximum-age", required=True, help="for example 30d")
    parser.add_argument("--vacuum-every-s", type=int, default=600)
    return Settings(**vars(parser.parse_args(argv)))
