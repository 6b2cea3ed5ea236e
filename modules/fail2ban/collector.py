"""Leaves the state of fail2ban as metrics in the node exporter's text file folder, again and again until it is ended.

It asks fail2ban itself over its socket, and needs the standard library only. The file is replaced by a rename, so the
node exporter never reads half of one, and is removed at the end, so that no old state outlives this program.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

END = b"<F2B_END_COMMAND>"
CLOSE = b"<F2B_CLOSE_COMMAND>"
TIMEOUT_S = 10
LARGEST_BYTES = 64 << 20

JAIL_METRICS = (
    ("fail2ban_failed", "gauge", "Failures that the jail remembers at the moment.", "Filter", "Currently failed"),
    ("fail2ban_failed_total", "counter", "Failures found since fail2ban started.", "Filter", "Total failed"),
    ("fail2ban_banned", "gauge", "Addresses that are banned at the moment.", "Actions", "Currently banned"),
    ("fail2ban_banned_total", "counter", "Bans since fail2ban started.", "Actions", "Total banned"),
)


class Refused(Exception):
    """fail2ban answered with an error, or with something that is no answer."""


class PlainValues(pickle.Unpickler):
    """Reads pickled lists, tuples, numbers and texts. Whatever would run code while it is read is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the one thing that an answer may name: addresses come as calls of str."""
        if (module, name) == ("builtins", "str"):
            return str
        raise Refused(f"the answer names {module}.{name}")


def ask(path: str, *words: str) -> Any:
    """Given fail2ban's socket and the words of a command, return its answer. Raises OSError, Refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall(pickle.dumps(list(words), protocol=2) + END)
        answer = bytearray()
        while not answer.endswith(END):
            part = connection.recv(65536)
            if not part or len(answer) > LARGEST_BYTES:
                raise Refused("the answer has no end")
            answer += part
        connection.sendall(CLOSE + END)
    try:
        code, value = PlainValues(io.BytesIO(answer[: -len(END)])).load()
    except (pickle.UnpicklingError, TypeError, ValueError, EOFError) as error:
        raise Refused(str(error)) from error
    if code != 0:
        raise Refused(str(value))
    return value


def read_jails(path: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Given fail2ban's socket, return what each jail says of itself, by section. Raises OSError, Refused."""
    names = str(dict(ask(path, "status"))["Jail list"]).replace(",", " ").split()
    jails = {}
    for name in names:
        try:
            jails[name] = {section: dict(values) for section, values in ask(path, "status", name)}
        except Refused:
            continue  # it was stopped after the list was made
    return jails


def lines(path: str, now: float) -> Iterator[str]:
    """Given fail2ban's socket and the time, yield the lines of the metrics file."""
    jails: dict[str, dict[str, dict[str, Any]]] = {}
    try:
        jails = read_jails(path)
        up = 1
    except (OSError, Refused, KeyError, TypeError, ValueError) as error:
        print(f"fail2ban does not answer: {error}", file=sys.stderr, flush=True)
        up = 0
    yield from family("fail2ban_up", "gauge", "Whether fail2ban answered.", [("", up)])
    yield from family("fail2ban_read_timestamp_seconds", "gauge", "When it was asked last.", [("", now)])
    if up:
        yield from family("fail2ban_jails", "gauge", "Jails at work.", [("", len(jails))])
    for name, kind, help_text, section, key in JAIL_METRICS:
        samples = [
            (f'{{jail="{escaped(jail)}"}}', values[section][key])
            for jail, values in jails.items()
            if key in values.get(section, {})
        ]
        if samples:
            yield from family(name, kind, help_text, samples)


def family(name: str, kind: str, help_text: str, samples: list[tuple[str, float]]) -> Iterator[str]:
    """Given a metric and its samples, yield its lines."""
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{labels} {float(value)!r}"


def escaped(text: str) -> str:
    """Given the value of a label, return how it is written between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


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
    parser.add_argument("--socket", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--seconds", required=True, type=int)
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        while not ended.is_set():
            replace(arguments.output, "".join(f"{line}\n" for line in lines(arguments.socket, time.time())))
            ended.wait(arguments.seconds)
    finally:
        for path in (arguments.output, f"{arguments.output}.new"):
            if os.path.lexists(path):
                os.remove(path)


if __name__ == "__main__":
    main()
