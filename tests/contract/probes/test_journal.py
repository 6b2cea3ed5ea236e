"""The bridge, the receiver and the reader: what programs print comes back from a real journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.probes.stack import Stack
from obstack.agent import wire
from obstack.agent.logs import Journal, Query, read_logs
from obstack.agent.services import ServiceFailure

pytestmark = pytest.mark.contract

PROGRAM = "import sys; from obstack.agent.journal_bridge import run; sys.exit(run(sys.argv[1:]))"


class Bridge:
    """A running bridge over a folder of logs of its own."""

    def __init__(self, stack: Stack, folder: Path, endpoint: str) -> None:
        self.stack = stack
        self.logs = folder / "logs"
        self.logs.mkdir(exist_ok=True)
        self.endpoint = endpoint
        self.folder = folder
        self.start()

    def start(self) -> None:
        way = self.stack.journalctl()
        arguments = [
            f"--logs={self.logs}",
            f"--positions={self.folder}/positions",
            f"--endpoint={self.endpoint}",
            f"--journal={way['journal']}",
            f"--journalctl={way['journalctl'][0]}",
            f"--libraries={self.stack.library_path()}",
            "--maximum-size=100M",
            "--maximum-age=30d",
        ]
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], env=environment, stderr=subprocess.PIPE, text=True
        )

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def write(self, name: str, content: bytes) -> None:
        with open(self.logs / f"{name}.log", "ab") as file:
            file.write(content)


@pytest.fixture
def bridge(stack: Stack, tmp_path: Path) -> Iterator[Bridge]:
    running = Bridge(stack, tmp_path, stack.url("journal"))
    yield running
    running.process.kill()
    running.process.communicate()


def entries(stack: Stack, unit: str, wanted: int, timeout_s: float = 15) -> list[dict[str, Any]]:
    """Return the journal's entries of a unit once there are so many."""
    way = stack.journalctl()
    argv = [*way["journalctl"], f"--directory={way['journal']}", "--output=json", "--all", f"OBSERVABILITY_UNIT={unit}"]
    deadline = time.monotonic() + timeout_s
    while True:
        done = subprocess.run(argv, env=way["environment"], capture_output=True, check=False)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        if len(found) >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def messages(found: list[dict[str, Any]]) -> list[bytes]:
    return [
        bytes(entry["MESSAGE"]) if isinstance(entry["MESSAGE"], list) else str(entry["MESSAGE"]).encode()
        for entry in found
    ]


def test_lines_arrive_in_order_with_name_and_priority(stack: Stack, bridge: Bridge) -> None:
    bridge.write("ordered", b"level=info first\nlevel=warn second\n2026/01/01 [error] 1#1: third\nplain fourth\n")
    found = entries(stack, "ordered", 4)
    assert messages(found) == [
        b"level=info first",
        b"level=warn second",
        b"2026/01/01 [error] 1#1: third",
        b"plain fourth",
    ]
    assert [entry["PRIORITY"] for entry in found] == ["6", "4", "3", "6"]
    assert {entry["SYSLOG_IDENTIFIER"] for entry in found} == {"ordered"}
    stamps = [int(entry["__REALTIME_TIMESTAMP"]) for entry in found]
    assert stamps == sorted(stamps)
    assert abs(stamps[0] / 1e6 - time.time()) < 60
    assert bridge.end() == (0, "")


def test_hostile_lines_stay_what_they_are(stack: Stack, bridge: Bridge) -> None:
    lines = [
        b"nul \x00 inside",
        b"\xff\xfe not text",
        b"\x1b[31mred\x1b[0m",
        b"x" * 200_000,
        b"MESSAGE=forged",
        b"__REALTIME_TIMESTAMP=1",
        b"_SYSTEMD_UNIT=ssh.service",
        b"carriage\rreturn",
        b"last",
    ]
    bridge.write("hostile", b"\n".join(lines) + b"\n")
    found = entries(stack, "hostile", len(lines) + 4)
    texts = messages(found)
    assert b"".join(text for text in texts if text.startswith(b"x")) == b"x" * 200_000
    assert [text for text in texts if not text.startswith(b"x")] == [line for line in lines if line[:1] != b"x"]
    assert all("_SYSTEMD_UNIT" not in entry for entry in found)
    assert all(int(entry["__REALTIME_TIMESTAMP"]) > 1_000_000 for entry in found)


def test_rotation_truncation_and_a_restart_lose_nothing(stack: Stack, bridge: Bridge) -> None:
    log = bridge.logs / "turned.log"
    bridge.write("turned", b"one\n")
    entries(stack, "turned", 1)
    bridge.end(signal.SIGKILL)
    bridge.write("turned", b"two\nthree without an end")
    log.rename(bridge.logs / "turned.log.1")
    bridge.write("turned", b"four\n")
    bridge.start()
    assert messages(entries(stack, "turned", 4)) == [b"one", b"two", b"three without an end", b"four"]
    log.write_bytes(b"5\n")  # shorter than what was read: truncated
    assert messages(entries(stack, "turned", 5))[-1] == b"5"


def test_lines_wait_while_the_receiver_is_away(stack: Stack, tmp_path: Path) -> None:
    stack.manager.stop(stack.units["journal-remote"])
    bridge = Bridge(stack, tmp_path, stack.url("journal"))
    try:
        bridge.write("patient", b"written meanwhile\n")
        time.sleep(1)
        stack.manager.start(stack.units["journal-remote"])
        assert messages(entries(stack, "patient", 1)) == [b"written meanwhile"]
        code, errors = bridge.end()
        assert code == 0
        assert errors.count("the journal's receiver is away, lines wait") == 1
    finally:
        stack.manager.start(stack.units["journal-remote"])
        bridge.process.kill()


def test_a_line_without_an_end_arrives_after_a_while(stack: Stack, bridge: Bridge) -> None:
    bridge.write("prompt", b"no newline")
    assert messages(entries(stack, "prompt", 1)) == [b"no newline"]


def test_thousands_of_lines_arrive_quickly_and_once(stack: Stack, bridge: Bridge) -> None:
    bridge.write("many", b"".join(b"line %d\n" % number for number in range(20_000)))
    began = time.monotonic()
    found = messages(entries(stack, "many", 20_000, timeout_s=30))
    assert found == [b"line %d" % number for number in range(20_000)]
    assert time.monotonic() - began < 30


def read(stack: Stack, query: Query, cancelled: Callable[[], bool] = lambda: False) -> list[wire.Event]:
    way = stack.journalctl()
    journal = Journal(tuple(way["journalctl"]), tuple(way["environment"].items()), way["journal"])
    return list(read_logs(journal, query, cancelled))


def test_logs_reads_what_was_asked_for(stack: Stack, bridge: Bridge) -> None:
    bridge.write("web", b"GET /a\nGET /b\nPOST /c\n\x1b[31mred\n")
    bridge.write("other", b"GET /d\n")
    entries(stack, "web", 4)
    entries(stack, "other", 1)
    assert [event.message for event in read(stack, Query(["web"]))] == ["GET /a", "GET /b", "POST /c", "\x1b[31mred"]
    assert [event.message for event in read(stack, Query(["web"], lines=2))] == ["POST /c", "\x1b[31mred"]
    assert [event.message for event in read(stack, Query(["web"], lines=1, grep="^GET"))] == ["GET /b"]
    assert {event.data["unit"] for event in read(stack, Query(["web", "other"]))} == {"web", "other"}
    assert read(stack, Query(["web"], since=time.time() + 3600)) == []
    with pytest.raises(ValueError, match="is not a regular expression"):
        read(stack, Query(["web"], grep="(("))
    with pytest.raises(ServiceFailure, match="cannot be run"):
        list(read_logs(Journal(("/no/such/journalctl",)), Query(["web"]), lambda: False))


def test_logs_follows_until_cancelled(stack: Stack, bridge: Bridge) -> None:
    bridge.write("live", b"before\n")
    entries(stack, "live", 1)
    seen: list[str] = []
    way = stack.journalctl()
    journal = Journal(tuple(way["journalctl"]), tuple(way["environment"].items()), way["journal"])
    deadline = time.monotonic() + 20
    for event in read_logs(
        journal, Query(["live"], follow=True), lambda: "after" in seen or time.monotonic() > deadline
    ):
        seen.append(event.message)
        if event.message == "before":
            bridge.write("live", b"after\n")
    assert seen == ["before", "after"]


def test_logs_that_are_followed_begin_with_the_last_lines_that_match(stack: Stack, bridge: Bridge) -> None:
    bridge.write("followed", b"GET /a\nGET /b\nPOST /c\n")
    entries(stack, "followed", 3)
    seen: list[str] = []
    way = stack.journalctl()
    journal = Journal(tuple(way["journalctl"]), tuple(way["environment"].items()), way["journal"])
    deadline = time.monotonic() + 20
    query = Query(["followed"], lines=1, grep="^GET", follow=True)
    for event in read_logs(journal, query, lambda: "GET /e" in seen or time.monotonic() > deadline):
        seen.append(event.message)
        if event.message == "GET /b":
            bridge.write("followed", b"POST /d\nGET /e\n")
    assert seen == ["GET /b", "GET /e"]
