"""The agent is alone on its machine: standard library only, nothing outside its package, one reproducible file."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

import obstack.agent
from obstack.edges.agent_archive import agent_folder, build_agent

AGENT = Path(str(obstack.agent.__file__)).parent


@pytest.mark.parametrize("path", sorted(AGENT.glob("*.py")), ids=lambda path: path.name)
def test_only_the_standard_library_and_the_agent_itself_are_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [str(node.module)]
        else:
            continue
        for name in names:
            ours = name == "obstack.agent" or name.startswith("obstack.agent.")
            assert ours or name.partition(".")[0] in sys.stdlib_module_names, name


def test_the_archive_is_the_same_each_time_and_runs_with_nothing_around_it(tmp_path: Path) -> None:
    first = build_agent()
    build_agent.cache_clear()
    assert build_agent().content == first.content
    assert len({info.date_time for info in zipfile.ZipFile(BytesIO(first.content)).infolist()}) == 1
    path = tmp_path / "agent.pyz"
    path.write_bytes(first.content)
    argv = [sys.executable, "-I", "-S", str(path), "--root", str(tmp_path / "root"), "serve"]
    done = subprocess.run(argv, input='{"protocol":1,"verb":"inspect"}\n', capture_output=True, text=True, cwd="/")
    assert done.stderr == ""
    assert json.loads(done.stdout)["outcome"] == "ok"
    assert not (tmp_path / "root").exists()


def test_the_unpacked_agent_is_put_right_when_it_is_not_what_was_built(tmp_path: Path) -> None:
    folder = agent_folder(tmp_path)
    source = folder / "obstack/agent/lock.py"
    before = source.read_bytes()
    assert agent_folder(tmp_path) == folder
    assert (folder / "agent.pyz").read_bytes() == build_agent().content

    source.write_text("raise SystemExit('not what was built')\n")
    assert agent_folder(tmp_path) == folder
    assert source.read_bytes() == before

    (folder / "__main__.py").unlink()
    assert agent_folder(tmp_path) == folder
    assert (folder / "__main__.py").is_file()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "line", ["", "nonsense", "[]", '{"protocol":2,"verb":"apply"}', '{"protocol":1,"verb":"explode"}']
)
def test_a_bad_request_is_answered_and_touches_nothing(tmp_path: Path, line: str) -> None:
    argv = [sys.executable, "-I", "-S", str(agent_folder(tmp_path)), "--root", str(tmp_path / "root"), "serve"]
    done = subprocess.run(argv, input=f"{line}\n", capture_output=True, text=True)
    assert done.returncode == 2
    assert json.loads(done.stdout)["fault"]["exit_code"] == 2
    assert not (tmp_path / "root").exists()


def test_an_interruption_while_it_starts_is_answered(tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(agent_folder(tmp_path)), "--root", str(tmp_path / "root"), "serve"]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    process.terminate()
    output, _ = process.communicate('{"protocol":1,"verb":"apply"}\n', timeout=60)
    assert process.returncode == 130
    assert json.loads(output)["fault"]["code"] == "interrupted"
    assert not (tmp_path / "root").exists()
