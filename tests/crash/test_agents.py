"""Agents of several versions on one machine: what runs keeps its code, and what is brought twice is unpacked once."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crash.world import World
from obstack.edges.agent_archive import packed_agent

pytestmark = pytest.mark.security

LOADER = """
import os, sys
from pathlib import Path
from obstack.edges import ssh_loader

place, digest, source, archive = sys.argv[1:]
content = Path(archive).read_bytes()
print("ready", flush=True)
sys.stdin.readline()
ssh_loader.install(place, digest, source, content)
print(os.stat(os.path.join(place, digest)).st_ino, flush=True)
sys.stdin.readline()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Run from an agent's archive or folder, as far as others can tell."""
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(descriptor)


def said(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Return the next line of each process."""
    return [process.stdout.readline().strip() for process in processes if process.stdout is not None]


def test_an_agent_that_several_bring_at_once_is_unpacked_once_and_stays_where_it_is(tmp_path: Path) -> None:
    agent = packed_agent(tmp_path / "cache")
    (tmp_path / "agent.pyz").write_bytes(agent.content)
    words = [str(tmp_path / "place"), agent.digest, agent.source_digest, str(tmp_path / "agent.pyz")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", LOADER, *words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert said(started) == ["ready"] * 4
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    places = set(said(started))
    for process in started:
        process.communicate("end\n", timeout=30)
    assert [process.returncode for process in started] == [0] * 4
    assert len(places) == 1 and places != {""}
    assert [path.name for path in (tmp_path / "place").iterdir()] == [agent.digest]


def test_an_agent_that_runs_is_kept_and_goes_when_it_has_ended(small: World) -> None:
    agents = small.state / "agent"
    (agents / "running").mkdir(parents=True)
    (agents / "ended").mkdir()
    (agents / "running.pyz").write_bytes(b"")
    (agents / "ended.pyz").write_bytes(b"")
    with held(agents / "running"), held(agents / "running.pyz"):
        small.apply(small.generation("one"))
        assert {path.name for path in agents.iterdir()} >= {"running", "running.pyz"}
        assert not (agents / "ended").exists()
        assert not (agents / "ended.pyz").exists()
    (agents / "agent.pyz").unlink()
    small.apply(small.generation("two"))
    assert len(list(agents.iterdir())) == 2


def test_nothing_is_thrown_away_while_an_agent_is_being_brought(small: World) -> None:
    agents = small.state / "agent"
    (agents / "coming").mkdir(parents=True)
    with held(agents):
        small.apply(small.generation("one"))
    assert (agents / "coming").exists()


def test_the_recovery_at_boot_goes_on_with_its_own_code_when_the_agent_is_replaced_while_it_waits(small: World) -> None:
    small.apply(small.generation("one"))
    link, lock = small.state / "agent/agent.pyz", small.state / "lock"
    archive = link.resolve()
    with lock.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        argv = [sys.executable, "-I", str(link), "--root", str(small.root), "boot-recover"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while str(archive).encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes() or not in_use(archive):
            assert time.monotonic() < deadline, "it does not run from the archive itself"
            time.sleep(0.02)
        (small.state / "agent/another.pyz").write_bytes(b"of another version, in which nothing lies where it was")
        link.unlink()
        link.symlink_to("another.pyz")
    assert process.communicate(timeout=60) == ("nothing to recover\n", "")
    assert process.returncode == 0


def in_use(path: Path) -> bool:
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
