"""What a receiver of a host's journal takes of the server's memory: while it waits, and once its host has come."""

from __future__ import annotations

import http.client
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.measure import Row
from contract.debian import LIBRARY_FOLDERS, own_programs
from obstack.agent.journal_export import JOURNAL_TYPE, boot_identity, entry

RECEIVERS: Final = 20
LINES: Final = 2_000
ON: Final = f"mean of {RECEIVERS} receivers, this machine"
NOTE: Final = "memory that no file backs; the journals themselves are in the page cache"


def rows() -> Iterator[Row]:
    """Start receivers, measure them waiting, send each some lines, and measure them again."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        places = [Path(folder) / str(number) for number in range(RECEIVERS)]
        processes = [_start(place, stack) for place in places]
        yield Row("receiver of a journal, waiting", ON, {"bytes": _mean(processes)}, ("bytes", 2 << 20), NOTE)
        for place in places:
            _send(place)
        yield Row(f"receiver after {LINES:,} lines", ON, {"bytes": _mean(processes)}, ("bytes", 8 << 20), NOTE)


def _start(place: Path, stack: ExitStack) -> int:
    """Start a receiver as its unit does, and return its process."""
    place.mkdir()
    programs = own_programs()
    folders = [*LIBRARY_FOLDERS, *(f"{folder}/systemd" for folder in LIBRARY_FOLDERS)]
    remote = next(
        programs.glob("usr/lib/systemd/systemd-journal-remote"), programs / "lib/systemd/systemd-journal-remote"
    )
    activate = programs / "usr/bin/systemd-socket-activate"
    listen = ["--listen-http=-3", "--split-mode=none", f"--output={place}/remote.journal"]
    process = stack.enter_context(
        subprocess.Popen(
            [activate, "-E", "LD_LIBRARY_PATH", "-l", place / "socket", remote, *listen],
            env={"LD_LIBRARY_PATH": ":".join(str(programs / folder) for folder in folders)},
            stderr=subprocess.DEVNULL,
        )
    )
    stack.callback(process.terminate)
    while not (place / "socket").exists():
        if process.poll() is not None:
            raise RuntimeError(f"a receiver ended with {process.returncode}")
        time.sleep(0.02)
    return process.pid


def _send(place: Path) -> None:
    moment, boot = time.time_ns() // 1000, boot_identity()
    lines = (entry({"MESSAGE": b"line %d" % n, "_HOSTNAME": b"web-1"}, moment + n, n, boot) for n in range(LINES))
    connection = http.client.HTTPConnection("web-1")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(place / "socket"))
        connection.request("POST", "/upload", b"".join(lines), {"Content-Type": JOURNAL_TYPE})
        status = connection.getresponse().status
    if status != http.HTTPStatus.ACCEPTED:
        raise RuntimeError(f"a receiver answered {status}")


def _mean(processes: list[int]) -> float:
    return sum(map(_anonymous, processes)) / len(processes)


def _anonymous(process: int) -> int:
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        name, value, *_ = line.split()
        if name == "Anonymous:":
            return int(value) * 1024
    raise RuntimeError("the kernel tells no memory of a process")
