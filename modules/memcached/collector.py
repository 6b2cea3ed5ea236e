"""Leaves the statistics of memcached as metrics in the node exporter's text file folder, until it is ended.

It asks memcached by its text protocol, and needs the standard library only. The file is replaced by a rename, so the
node exporter never reads half of one, and is removed at the end, so that no old state outlives this program.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

TIMEOUT_S = 5
LONGEST_LINE = 4096
OUTCOMES = {"hits": "hit", "misses": "miss"}
COMMANDS = ("get", "touch", "delete", "incr", "decr", "cas")


class Metric(NamedTuple):
    """One metric that memcached counts under `key`."""

    name: str
    kind: str
    help_text: str
    key: str


METRICS = (
    Metric("memcached_uptime_seconds", "counter", "Seconds since memcached started.", "uptime"),
    Metric("memcached_current_connections", "gauge", "Open connections.", "curr_connections"),
    Metric("memcached_max_connections", "gauge", "Connections that it allows.", "max_connections"),
    Metric("memcached_connections_total", "counter", "Connections opened.", "total_connections"),
    Metric(
        "memcached_connections_listener_disabled_total",
        "counter",
        "Times that the limit of connections was reached.",
        "listen_disabled_num",
    ),
    Metric("memcached_current_items", "gauge", "Items in the cache.", "curr_items"),
    Metric("memcached_items_evicted_total", "counter", "Items thrown out before their time.", "evictions"),
    Metric("memcached_current_bytes", "gauge", "Bytes that the items take.", "bytes"),
    Metric("memcached_limit_bytes", "gauge", "Bytes that the items may take.", "limit_maxbytes"),
    Metric("memcached_read_bytes_total", "counter", "Bytes received.", "bytes_read"),
    Metric("memcached_written_bytes_total", "counter", "Bytes sent.", "bytes_written"),
)


def ask(host: str, port: int) -> dict[str, str]:
    """Given where memcached answers, return its statistics as it writes them. Raises OSError, ValueError."""
    found = {}
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection, connection.makefile("rb") as answer:
        connection.sendall(b"stats\r\n")
        while line := answer.readline(LONGEST_LINE):
            words = line.decode("ascii", "replace").split()
            if words == ["END"]:
                return found
            if len(words) < 2 or words[0] != "STAT":
                raise ValueError(f"it said {line[:80]!r}")
            found[words[1]] = " ".join(words[2:])
    raise ValueError("its answer has no end")


def lines(host: str, port: int, now: float) -> Iterator[str]:
    """Given where memcached answers and the time, yield the lines of the metrics file."""
    found: dict[str, str] = {}
    try:
        found = ask(host, port)
        up = 1
    except (OSError, ValueError) as error:
        print(f"memcached does not answer: {error}", file=sys.stderr, flush=True)
        up = 0
    yield from family("memcached_up", "gauge", "Whether memcached answered.", [("", up)])
    yield from family("memcached_read_timestamp_seconds", "gauge", "When it was asked last.", [("", now)])
    for metric in METRICS:
        if metric.key in found:
            yield from family(metric.name, metric.kind, metric.help_text, [("", float(found[metric.key]))])
    counted = [
        (f'{{command="{command}",status="{status}"}}', float(found[key]))
        for command in COMMANDS
        for outcome, status in OUTCOMES.items()
        if (key := f"{command}_{outcome}") in found
    ]
    if counted:
        yield from family("memcached_commands_total", "counter", "Commands, by whether the item was there.", counted)


def family(name: str, kind: str, help_text: str, samples: list[tuple[str, float]]) -> Iterator[str]:
    """Given a metric and its samples, yield its lines."""
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{labels} {float(value)!r}"


def replace(path: str, text: str) -> None:
    """Given a file and its text, put it there whole."""
    aside = f"{path}.new"
    if os.path.lexists(aside):
        os.remove(aside)
    # Others write into the folder too: what they might put in the way is never followed.
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(descriptor, 0o644)
    os.replace(aside, path)


def main() -> None:
    """Read the arguments and write the metrics until a signal ends the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--seconds", required=True, type=int)
    arguments = parser.parse_args()
    host, _, port = arguments.server.rpartition(":")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        while not ended.is_set():
            text = "".join(f"{line}\n" for line in lines(host.strip("[]"), int(port), time.time()))
            replace(arguments.output, text)
            ended.wait(arguments.seconds)
    finally:
        for path in (arguments.output, f"{arguments.output}.new"):
            if os.path.lexists(path):
                os.remove(path)


if __name__ == "__main__":
    main()
