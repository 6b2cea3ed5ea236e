"""The program that ssh starts: fit for any shell, and careful about what it runs and keeps."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from obstack.edges import ssh_loader
from obstack.edges.agent_archive import PackedAgent, packed_agent

TEXT = Path(ssh_loader.__file__).read_text()


@pytest.fixture
def agent(tmp_path: Path) -> PackedAgent:
    return packed_agent(tmp_path / "cache")


@pytest.fixture
def place(tmp_path: Path, agent: PackedAgent) -> Path:
    """A folder with the agent in it."""
    place = tmp_path / "state/agent"
    ssh_loader.install(str(place), agent.digest, agent.source_digest, agent.content)
    return place


def whole(place: Path, agent: PackedAgent) -> bool:
    return ssh_loader.intact(str(place / agent.digest), agent.digest, agent.source_digest)


def test_its_text_means_the_same_to_every_shell() -> None:
    assert not set(TEXT) & set("'\\!`")
    assert len(TEXT) < 8000
    assert shlex.quote(TEXT) == f"'{TEXT}'"


def test_an_old_python_can_read_it_and_is_told_so() -> None:
    ast.parse(TEXT, feature_version=(3, 7))
    old = TEXT.replace("sys.version_info)", "(3, 9, 2))")
    assert old != TEXT
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True)
    assert done.returncode == 6
    assert json.loads(done.stdout)["code"] == "python-too-old"


def test_what_was_installed_is_whole_until_anything_in_it_changes(place: Path, agent: PackedAgent) -> None:
    assert whole(place, agent)
    folder = place / agent.digest
    assert [path.name for path in place.iterdir()] == [agent.digest]
    source = folder / "obstack/agent/lock.py"
    before = source.read_bytes()
    source.write_bytes(before + b"\n")
    assert not whole(place, agent)
    source.write_bytes(before)
    assert whole(place, agent)
    (folder / "obstack/agent/more.py").write_text("")
    assert not whole(place, agent)
    (folder / "obstack/agent/more.py").unlink()
    (folder / "agent.pyz").write_bytes(agent.content[:-1])
    assert not whole(place, agent)


def test_compiled_code_does_not_count(place: Path, agent: PackedAgent) -> None:
    argv = [sys.executable, "-I", "-S", str(place / agent.digest), "--root", str(place / "root"), "serve"]
    subprocess.run(argv, input=b'{"protocol":1,"verb":"inspect"}\n', capture_output=True, check=True)
    assert list((place / agent.digest).rglob("*.pyc"))
    assert whole(place, agent)


def test_a_damaged_agent_is_replaced_as_a_whole(place: Path, agent: PackedAgent) -> None:
    shutil.rmtree(place / agent.digest / "obstack")
    ssh_loader.install(str(place), agent.digest, agent.source_digest, agent.content)
    assert whole(place, agent)
    assert [path.name for path in place.iterdir()] == [agent.digest]


def test_what_others_may_do_with_it_does_not_depend_on_the_umask(tmp_path: Path, agent: PackedAgent) -> None:
    before = os.umask(0o077)
    try:
        ssh_loader.install(str(tmp_path / "state/agent"), agent.digest, agent.source_digest, agent.content)
    finally:
        os.umask(before)
    made = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    modes = {path.is_dir(): {path.stat().st_mode & 0o777} for path in made}
    assert modes == {True: {0o755}, False: {0o644}}
