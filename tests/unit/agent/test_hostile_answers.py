"""What is watched may have been broken into: no answer of it hangs the agent, fills its memory or escapes its gate."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from obstack.agent import journal_files, logs, trusted
from obstack.agent.gate_exporter import LINE_LIMIT, has_series
from obstack.agent.gate_probe import Red, expect, fetch, fetch_json, fetch_metric

pytestmark = pytest.mark.security

HEAD = b"HTTP/1.1 200 OK\r\n"
Send = Callable[[bytes], object]
Script = Callable[[Send], object]


@contextlib.contextmanager
def answering(answer: Script) -> Iterator[str]:
    """Something on a port that answers each request as it likes, for the length of a `with` block."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65536)
                        answer(connection.sendall)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def drip(send: Send, line: bytes = b"x") -> object:
    while True:
        send(line)
        time.sleep(0.02)


@pytest.mark.parametrize(
    "answer",
    [
        lambda send: drip(send),
        lambda send: (send(HEAD), drip(send)),
        lambda send: (send(HEAD), drip(send, b"A: b\r\n")),
        lambda send: (send(HEAD + b"Content-Length: 100000\r\n\r\n"), drip(send)),
        lambda send: (send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), drip(send, b"1\r\nx\r\n")),
        lambda send: (send(HEAD + b"\r\n"), drip(send, b"up 1\n")),
        lambda send: time.sleep(3),
    ],
)
def test_an_answer_that_drips_is_given_up(answer: Script) -> None:
    began = time.monotonic()
    with answering(answer) as url, pytest.raises(Red):
        expect(fetch(url, timeout_s=0.2), 201, "the answer")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff" * 100,
        b"HTTP/1.1 999999999999999999999 x\r\n\r\n",
        b"HTTP/1.1 -1 x\r\n\r\n",
        HEAD + b"A" * 100_000 + b"\r\n\r\n",
        HEAD + b"A: b\r\n" * 200 + b"\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 99999999999999999999999999999\r\n\r\nx",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        HEAD + b"\r\n" + b"[" * 100_000,
        HEAD + b"\r\n{NaN",
    ],
)
def test_an_answer_that_is_none_is_red(answer: bytes) -> None:
    with answering(lambda send: send(answer)) as url:
        with pytest.raises(Red):
            fetch_json(url, "the answer", timeout_s=0.5)
        with pytest.raises(Red):
            fetch_metric(url, "up")


def test_very_many_lines_do_not_fill_the_memory() -> None:
    """Sixteen million lines are as many bytes, but would be a gigabyte of objects."""
    exposition = b"\n" * (16 << 20) + b"up 1\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert has_series(exposition, "up")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


@pytest.mark.parametrize(
    "line",
    [
        b"up{" + b"a" * (LINE_LIMIT - 10),
        b"up{" + b'a="' * (LINE_LIMIT // 4),
        b"up{" + b'a="\\"' * (LINE_LIMIT // 6),
        b"up{" + b"\\" * (LINE_LIMIT - 10),
        b"up{" + b"a" * (64 << 20),
    ],
)
def test_no_line_of_metrics_takes_long_to_read(line: bytes) -> None:
    began = time.monotonic()
    assert not has_series(line + b"\n", 'up{job="x"}')
    assert has_series(line + b'\nup{job="x"} 1\n', 'up{job="x"}')
    assert time.monotonic() - began < 3


# ------------------------------------------------------------------------------------------------ files of services


def test_a_pipe_or_a_link_in_a_service_s_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.journal")
    (tmp_path / "link.journal").symlink_to("/etc/passwd")
    (tmp_path / "folder.journal").mkdir()
    header = journal_files.SIGNATURE + bytes(176) + struct.pack("<QQ", 2**64 - 1, 2**64 - 1) + bytes(8)
    (tmp_path / "late.journal").write_bytes(header)
    assert [Path(file.path).name for file in journal_files.journal_files(str(tmp_path))] == ["late.journal"]
    assert journal_files.last_line(str(tmp_path)) == journal_files.LATEST_S
    for name in ("pipe.journal", "link.journal", "folder.journal"):
        with pytest.raises(OSError, match=r"."):
            trusted.content(str(tmp_path / name), 10)


# ------------------------------------------------------------------------------------------- lines that hosts shipped


def read_lines(write: Callable[[IO[bytes]], None]) -> list[bytes | None]:
    source, sink = os.pipe()

    def run() -> None:
        with open(sink, "wb") as stream:
            write(stream)

    threading.Thread(target=run, daemon=True).start()
    with open(source, "rb", buffering=0) as stream:
        return list(logs._lines(stream, lambda: False))


def test_a_line_without_end_costs_no_memory_and_is_told() -> None:
    size = 64 << 20

    def write(stream: IO[bytes]) -> None:
        stream.write(b'{"MESSAGE": "before"}\n')
        for _ in range(size // (1 << 20)):
            stream.write(b"x" * (1 << 20))
        stream.write(b'\n{"MESSAGE": "after"}\n')

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = [logs.parse_line(line) for line in read_lines(write) if line]
    assert [line.message for line in lines if line] == ["before", f"(a line of {size} bytes is left out)", "after"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024


@pytest.mark.parametrize(
    "fields",
    [
        {"MESSAGE": [300, -1]},
        {"MESSAGE": [[["a"]]]},
        {"MESSAGE": {"a": 1}, "PRIORITY": ["6", "7"]},
        {"__REALTIME_TIMESTAMP": "9" * 400},
        {"__REALTIME_TIMESTAMP": [1]},
        {"__REALTIME_TIMESTAMP": "-1"},
        {"_SYSTEMD_UNIT": ["a", "b"], "SYSLOG_IDENTIFIER": [27, 91, 50, 74]},
    ],
)
def test_a_line_of_any_form_is_an_event(fields: dict[str, object]) -> None:
    event = logs.parse_line(json.dumps(fields).encode())
    assert event is not None
    assert isinstance(event.message, str)
