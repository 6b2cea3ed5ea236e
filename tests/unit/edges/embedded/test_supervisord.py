"""A real supervisord is started, killed and stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obstack.edges.embedded.processes import alive, command_line
from obstack.edges.embedded.supervisord import Supervisord
from obstack.errors import ChangeFailed
from obstack.model.layout import Layout, Manager

PROGRAM = """[program:sleeper]
command = /bin/sleep 600
startsecs = 0
"""


@pytest.fixture
def supervisord(tmp_path: Path) -> Iterator[Supervisord]:
    # Deeper than the path of a socket may be.
    root = tmp_path / ("d" * 60) / ("e" * 60)
    daemon = Supervisord(Layout(str(root), Manager.SUPERVISOR))
    definitions = root / "etc" / "supervisor" / "conf.d"
    definitions.mkdir(parents=True)
    (definitions / "sleeper.conf").write_text(PROGRAM)
    yield daemon
    daemon.stop()


def wait_for_family(daemon: Supervisord) -> set[int]:
    """Return the processes of the daemon when each is the program; one just forked shows no environment yet."""
    deadline = time.monotonic() + 10
    while not (family := daemon.family()) or any(command_line(pid) != ["/bin/sleep", "600"] for pid in family):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return family


def test_it_is_started_once_and_stopped_with_its_programs(supervisord: Supervisord) -> None:
    assert supervisord.pid() is None

    assert supervisord.start() is True
    pid = supervisord.pid()
    assert pid is not None
    (program,) = wait_for_family(supervisord)
    assert supervisord.start() is False
    assert supervisord.pid() == pid
    assert supervisord.orphans() == []

    assert supervisord.stop() is True
    assert not alive(pid)
    assert not alive(program)
    assert supervisord.stop() is False


def test_what_a_killed_one_left_is_ended_before_the_next_starts(supervisord: Supervisord) -> None:
    supervisord.start()
    pid = supervisord.pid()
    assert pid is not None
    (orphan,) = wait_for_family(supervisord)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert supervisord.pid() is None
    assert [process.pid for process in supervisord.orphans()] == [orphan]

    assert supervisord.start() is True

    assert not alive(orphan)
    assert supervisord.pid() not in (None, pid)


def test_stop_ends_what_a_killed_one_left(supervisord: Supervisord) -> None:
    supervisord.start()
    pid = supervisord.pid()
    assert pid is not None
    (orphan,) = wait_for_family(supervisord)
    os.kill(pid, signal.SIGKILL)

    assert supervisord.stop() is True

    assert not alive(orphan)


def test_a_failed_start_shows_why(supervisord: Supervisord) -> None:
    (Path(supervisord.layout.etc("supervisor")) / "conf.d" / "broken.conf").write_text("[program:broken]\n")

    with pytest.raises(ChangeFailed) as caught:
        supervisord.start()

    assert "broken" in (caught.value.detail or "")
