"""The collector of fail2ban reads what fail2ban says over a socket, and nothing else than plain values."""

from __future__ import annotations

import importlib.util
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / "modules/fail2ban/collector.py"
JAIL = [("Filter", [("Currently failed", 2), ("Total failed", 9)]), ("Actions", [("Currently banned", 1)])]


@pytest.fixture(scope="module")
def collector() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fail2ban_collector", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fail2ban(tmp_path: Path) -> Iterator[Callable[[dict[tuple[str, ...], Any]], str]]:
    """Answers commands over a real socket, in the form of fail2ban."""
    path = str(tmp_path / "fail2ban.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve(answers: dict[tuple[str, ...], Any]) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                asked = b""
                while not asked.endswith(b"<F2B_END_COMMAND>"):
                    asked += connection.recv(4096)
                answer = answers.get(tuple(pickle.loads(asked)), (1, "unknown"))
                connection.sendall(pickle.dumps(answer) + b"<F2B_END_COMMAND>")
                connection.recv(4096)

    def start(answers: dict[tuple[str, ...], Any]) -> str:
        threading.Thread(target=serve, args=(answers,), daemon=True).start()
        return path

    yield start
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_each_jail_has_its_series(collector: ModuleType, fail2ban: Callable[[Any], str]) -> None:
    path = fail2ban({("status",): (0, [("Jail list", "sshd, gone")]), ("status", "sshd"): (0, JAIL)})
    lines = list(collector.lines(path, 1000.0))
    assert "fail2ban_up 1.0" in lines
    assert "fail2ban_read_timestamp_seconds 1000.0" in lines
    assert "fail2ban_jails 1.0" in lines
    assert 'fail2ban_failed_total{jail="sshd"} 9.0' in lines
    assert 'fail2ban_banned{jail="sshd"} 1.0' in lines
    assert not any("gone" in line for line in lines)


def test_without_fail2ban_it_is_down(collector: ModuleType, tmp_path: Path) -> None:
    lines = list(collector.lines(str(tmp_path / "nothing"), 1000.0))
    assert "fail2ban_up 0.0" in lines
    assert not any(line.startswith("fail2ban_jails") for line in lines)


class Touch:
    """What pickle would call while it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_an_answer_that_would_run_code_is_refused(
    collector: ModuleType, fail2ban: Callable[[Any], str], tmp_path: Path
) -> None:
    path = fail2ban({("status",): (0, [("Jail list", Touch(tmp_path / "touched"))])})
    assert "fail2ban_up 0.0" in list(collector.lines(path, 1000.0))
    assert not (tmp_path / "touched").exists()


def test_a_name_cannot_leave_its_quotes(collector: ModuleType) -> None:
    assert collector.escaped('a"} 1\n\\') == 'a\\"} 1\\n\\\\'


def test_the_file_is_whole_at_any_time(collector: ModuleType, tmp_path: Path) -> None:
    place = tmp_path / "fail2ban.prom"
    collector.replace(str(place), "fail2ban_up 1.0\n")
    assert place.read_text(encoding="utf-8") == "fail2ban_up 1.0\n"
    assert place.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["fail2ban.prom"]
