"""The embedded stack on this very machine, from nothing to nothing: the real programs, driven by the real command."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from obstack.agent.listeners import read_listeners
from obstack.edges.embedded.processes import alive, command_line, listeners
from obstack.edges.embedded.root import PrivateRoot
from obstack.edges.embedded.supervisord import Supervisord
from obstack.model.layout import Layout, Manager

pytestmark = pytest.mark.contract

SOURCES = Path(__file__).parents[2] / "src"
PORT_BASE = 28400
PATIENCE_S = 180


class Stack:
    """An embedded stack below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / ".observability"
        self.configuration = self.root / "config" / "global.yaml"
        self.supervisord = Supervisord(Layout(str(self.root), Manager.SUPERVISOR))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of ours in the folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "obstack.cli.main", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(SOURCES)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command of ours in the folder, and return its exit code and its outputs."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=PATIENCE_S)
        return process.returncode, output, errors

    def up(self) -> dict[str, Any]:
        """Bring it up and return the document."""
        code, output, errors = self.run("up", "--json", "--port-base", str(PORT_BASE))
        assert code == 0, output + errors
        document: dict[str, Any] = json.loads(output)
        return document

    def programs(self) -> dict[int, str]:
        """What the supervisor runs: the first word of each command line, by process."""
        return {pid: words[0] for pid in self.supervisord.family() if (words := command_line(pid))}

    def services(self) -> dict[int, str]:
        """As `programs`, without nginx's workers, which a reload of nginx may replace."""
        return {pid: name for pid, name in self.programs().items() if "worker process" not in name}

    def get(self, url: str, document: dict[str, Any], password: str) -> int:
        """Ask the front door as curl would, and return the status."""
        context = ssl.create_default_context(cafile=str(self.folder / document["authority"]))
        login = base64.b64encode(f"{document['login']['user']}:{password}".encode()).decode()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Begun(NamedTuple):
    """A stack, and the document with which it came up for the first time."""

    stack: Stack
    document: dict[str, Any]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begun]:
    stack = Stack(tmp_path_factory.mktemp("up"))
    try:
        yield Begun(stack, stack.up())
    finally:
        stack.supervisord.stop()


@pytest.fixture
def stack(begun: Begun) -> Stack:
    """The stack that runs, whatever the test before has left."""
    begun.stack.up()
    return begun.stack


def test_it_comes_up_and_lets_in_whom_it_names(begun: Begun) -> None:
    stack, document = begun

    assert document["outcome"] == "committed"
    assert document["urls"]["front door"] == f"https://localhost:{PORT_BASE}/"
    password = (stack.folder / document["login"]["kept_in"]).read_text().strip()
    assert password not in json.dumps(document)
    for url in (document["urls"]["front door"], document["urls"]["Alertmanager"]):
        assert stack.get(url, document, password) == 200
        assert stack.get(url, document, "wrong") == 401


def test_it_listens_on_loopback_only(stack: Stack) -> None:
    ports = range(PORT_BASE, PORT_BASE + 7)

    assert {listener.address for listener in read_listeners() if listener.port in ports} == {"127.0.0.1"}
    assert set(listeners(ports)) == set(ports)


def test_again_it_changes_nothing_and_is_quick(stack: Stack) -> None:
    def everything() -> tuple[dict[int, str], dict[Path, int]]:
        return stack.programs(), {path: path.lstat().st_mtime_ns for path in (stack.root / "etc").rglob("*")}

    before = everything()

    # The best of three: what else runs on the machine is not what is measured.
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        assert stack.up()["outcome"] == "unchanged"
        seconds.append(time.monotonic() - started)

    assert min(seconds) < 2
    assert everything() == before


def test_a_change_that_needs_a_reload_keeps_all_processes(stack: Stack) -> None:
    before = stack.services()
    text = stack.configuration.read_text()
    stack.configuration.write_text(text.replace("scrape_interval: 5s", "scrape_interval: 4s"))

    assert stack.up()["outcome"] == "committed"

    assert stack.services() == before


def test_a_broken_configuration_is_refused_with_its_place(stack: Stack) -> None:
    before = stack.programs()
    text = stack.configuration.read_text()
    broken = re.sub(r"scrape_interval: \d+s", "scrape_interval: 4 bananas", text, count=1)
    stack.configuration.write_text(broken)

    code, _, errors = stack.run("up")

    stack.configuration.write_text(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "scrape_interval" in line)
    assert code == 2
    assert f"global.yaml:{line}:" in errors
    assert stack.programs() == before


def test_a_busy_port_is_named_before_anything_starts(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path)

    code, _, errors = other.run("up", "--port-base", str(PORT_BASE - 3))

    assert code == 1
    assert "error[port-busy]" in errors
    for port in range(PORT_BASE, PORT_BASE + 4):
        assert f"port {port} " in errors
    assert "is taken by nginx" in errors
    assert "--port-base" in errors
    assert other.supervisord.pid() is None


def test_one_of_two_at_once_is_told_of_the_other(stack: Stack) -> None:
    with PrivateRoot(stack.root).locked():
        code, _, errors = stack.run("up")

    assert code == 5
    assert f"process {os.getpid()}" in errors


def test_a_killed_program_comes_back(stack: Stack) -> None:
    victim = next(pid for pid, name in stack.programs().items() if name.endswith("/prometheus"))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not alive(victim))

    stack.up()

    assert any(name.endswith("/prometheus") for name in stack.programs().values())


def test_a_killed_supervisor_is_mended(stack: Stack) -> None:
    names = sorted(stack.services().values())
    old = stack.supervisord.pid()
    assert old is not None
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not alive(old))

    stack.up()

    assert sorted(stack.services().values()) == names
    assert stack.supervisord.orphans() == []


@pytest.mark.parametrize("delay_s", [0.3, 0.8, 1.5])
def test_an_up_that_was_killed_midway_is_mended(stack: Stack, delay_s: float) -> None:
    text = stack.configuration.read_text()
    stack.configuration.write_text(text.replace("retention_time: 7d", f"retention_time: {int(delay_s * 10) + 7}d", 1))
    victim = stack.start("up", "--json")
    time.sleep(delay_s)
    victim.kill()
    victim.communicate()

    stack.up()

    assert stack.up()["outcome"] == "unchanged"
    assert stack.run("health", "--json")[0] == 0


def test_down_stops_everything_and_purge_leaves_nothing(stack: Stack) -> None:
    programs = set(stack.programs())
    code, output, errors = stack.run("down")
    assert code == 0, output + errors
    assert not any(alive(pid) for pid in programs)
    assert (stack.root / "var" / "lib" / "prometheus").is_dir()
    for verb in ("status", "health"):
        code, output, errors = stack.run(verb, "--quiet")
        assert (code, output) == (1, "")
        assert "supervisord is not running" in errors
        assert errors.endswith("  do:    observability up\n")
    assert stack.up()["generation"] is not None
    programs = set(stack.programs())

    code, output, errors = stack.run("down", "--purge")

    assert code == 0, output + errors
    assert not any(alive(pid) for pid in programs)
    assert list(stack.folder.iterdir()) == []
    assert stack.run("down", "--purge")[0] == 0
