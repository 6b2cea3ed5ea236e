"""What runs and listens here is read from /proc of this very machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obstack.edges.embedded.processes import (
    Process,
    alive,
    command_line,
    descendants,
    end_processes,
    listeners,
    processes_of,
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    code = "import time; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")]
)
def test_a_listener_is_found_with_its_owner(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()
        port = server.getsockname()[1]

        found = listeners({port, 1})

    assert set(found) == {port}
    owner = found[port]
    assert owner is not None
    assert owner.pid == os.getpid()
    assert str(owner) == f"{Path(sys.executable).resolve().name} (process {os.getpid()})"


def test_descendants_are_found_over_generations() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        family = descendants(os.getpid())

        assert child.pid in family
        assert len(descendants(child.pid)) == 1
        assert descendants(child.pid) < family
        child.communicate(b"\n")


def test_a_process_is_ours_by_its_marker_or_by_its_program(tmp_path: Path) -> None:
    program = tmp_path / "sleep"
    shutil.copy("/bin/sleep", program)
    with (
        subprocess.Popen([program, "60"]) as by_program,
        subprocess.Popen(["sleep", "60"], env={**os.environ, "MARK": "here"}) as by_marker,
        subprocess.Popen(["sleep", "60"], env={**os.environ, "MARK": "here too"}) as stranger,
    ):
        found = {process.pid for process in processes_of(str(tmp_path), "MARK=here")}

        assert found == {by_program.pid, by_marker.pid}
        for process in (by_program, by_marker, stranger):
            process.kill()


def test_a_process_that_ignores_the_request_is_made_to_end() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        end_processes([Process(process.pid, "python")], 0.2)

        assert not alive(process.pid)
        assert process.wait() == -9


def test_the_command_line_of_a_process_that_ended_is_empty(sleeper: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while not (words := command_line(sleeper.pid)):  # of a process just started it may not be there yet
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert words[-1].endswith("time.sleep(60)")
    sleeper.kill()
    sleeper.wait()
    assert command_line(sleeper.pid) == []
