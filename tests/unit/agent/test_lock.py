"""The lock between two real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from obstack.agent import lock
from obstack.agent.faults import AgentError

HOLD = """
import sys
import time
from obstack.agent import lock
with lock.held(sys.argv[1]) as announce:
    if sys.argv[2] == "announce":
        announce("anna", "apply")
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path, mode: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": "src"}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize(("mode", "named"), [("announce", "apply by anna, process {}"), ("silent", "process {}")])
def test_whoever_waits_is_told_who_holds_it(tmp_path: Path, mode: str, named: str) -> None:
    path = tmp_path / "lock"
    with holder(path, mode) as other:
        with pytest.raises(AgentError) as caught, lock.held(str(path), wait_s=0.2):
            pytest.fail("the lock was given twice")
        assert caught.value.exit_code == 5
        assert named.format(other.pid) in caught.value.what
        other.kill()
    with lock.held(str(path)):  # the kernel took it from the dead
        pass


def test_a_waiting_run_gets_it_when_the_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path, "announce") as other:
        assert other.stdin is not None
        other.stdin.close()
        with lock.held(str(path), wait_s=10):
            assert lock.holder_pid(str(path)) == os.getpid()


def test_a_record_of_a_dead_holder_names_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path, "announce") as other:
        other.kill()
    with holder(path, "silent") as second:
        assert lock.describe(str(path)) == f"process {second.pid}, which is still comparing"
        second.kill()


def test_whoever_waited_for_a_file_that_a_purge_took_away_locks_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "state/lock"
    path.parent.mkdir()
    with (
        holder(path, "silent") as first,
        subprocess.Popen(
            [sys.executable, "-c", WAIT, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": "src"},
        ) as second,
    ):
        assert second.stdout is not None and second.stdout.readline() == "waiting\n"
        time.sleep(3 * lock.POLL_S)
        path.unlink()
        path.parent.rmdir()
        first.kill()
        assert second.stdout.readline() == "held\n"
        with pytest.raises(AgentError), lock.held(str(path)):
            pytest.fail("the lock was given twice")
        second.kill()


WAIT = """
import sys
import time
from obstack.agent import lock
print("waiting", flush=True)
with lock.held(sys.argv[1], wait_s=30):
    print("held", flush=True)
    sys.stdin.read()
"""
