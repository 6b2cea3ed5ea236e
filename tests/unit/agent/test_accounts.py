"""The machine's lock on its accounts is waited for, and whoever holds it is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from obstack.agent import accounts, wire
from obstack.agent.faults import AgentError
from obstack.agent.machine import Machine
from obstack.agent.managers import service_manager

pytestmark = pytest.mark.security

HOLDER = """import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed."""
    argv = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_holder_that_does_not_end_is_named(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    machine = Machine(str(tmp_path), service_manager)
    with pytest.raises(AgentError) as caught:
        accounts.await_free(machine, limit_s=0.3, path=str(tmp_path / "lock"))
    assert caught.value.code == "accounts-locked"
    assert f"process {holder.pid} (python" in caught.value.what


def test_a_holder_that_ends_is_waited_for_and_told(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    told: list[wire.Event] = []

    def hear(event: wire.Event) -> None:
        told.append(event)
        holder.kill()

    accounts.await_free(Machine(str(tmp_path), service_manager, hear), limit_s=30, path=str(tmp_path / "lock"))
    (event,) = told
    assert event.message.startswith(f"waiting for process {holder.pid} (python")


def test_a_lock_that_nobody_has_made_is_free(tmp_path: Path) -> None:
    accounts.await_free(Machine(str(tmp_path), service_manager), limit_s=0, path=str(tmp_path / "none"))
