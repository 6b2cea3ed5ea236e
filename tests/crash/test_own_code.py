"""Programs of the agent that run for good take the code of the agent that replaces theirs, as the same process."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from obstack.edges.agent_archive import build_agent

NEW = "import os, sys\nprint('the new code,', os.getpid(), sys.argv[1])\n"


def install(folder: Path, name: str) -> None:
    """Let the link lead to another archive, by one rename."""
    (folder / "new").symlink_to(name)
    (folder / "new").rename(folder / "agent.pyz")


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "agent"
    folder.mkdir()
    (folder / "old.pyz").write_bytes(build_agent().content)
    with zipfile.ZipFile(folder / "new.pyz", "w") as archive:
        archive.writestr("__main__.py", NEW)
    install(folder, "old.pyz")
    return folder


def words(command: str, folder: Path) -> list[str]:
    """Return the arguments of a program whose other end is away, and whose journalctl leaves a trace."""
    journalctl = folder / "journalctl"
    entry = "__CURSOR=s=0a;i=1;b=0b;m=1;t=1;x=1\\n__REALTIME_TIMESTAMP=1\\nMESSAGE=it waits\\n\\n"
    more = "exec sleep 60" if command == "journal-upload" else ""
    journalctl.write_text(f"#!/bin/sh\nprintf '{entry}'\ntouch {folder / 'begun'}\n{more}\n")
    journalctl.chmod(0o755)
    if command == "journal-upload":
        (folder / "authority").touch()
        names = ("certificate", "key", "authority", "position", "journalctl")
        return ["--url=https://127.0.0.1:1/upload", *(f"--{name}={folder / name}" for name in names)]
    files = [f"--{name}={folder / name}" for name in ("logs", "positions", "journal", "journalctl")]
    return [*files, "--endpoint=http://127.0.0.1:1", "--maximum-size=1M", "--maximum-age=1d"]


@pytest.mark.parametrize("command", ["journal-upload", "journal-bridge"])
def test_the_new_code_goes_on_as_the_same_process(agents: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "logs").mkdir()
    argv = [sys.executable, "-I", str(agents / "agent.pyz"), command, *words(command, tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None
        install(agents, "new.pyz")
        assert process.communicate(timeout=20)[0] == f"the new code, {process.pid} {command}\n"
        assert process.returncode == 0
