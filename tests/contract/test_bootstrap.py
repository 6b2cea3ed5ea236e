"""The virtual environment is made from the real package index, whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from obstack import __version__

CHECKOUT = Path(__file__).parents[2]

pytestmark = pytest.mark.contract


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("observability", "requirements.lock"):
        shutil.copy2(CHECKOUT / name, tmp_path / name)
    shutil.copytree(CHECKOUT / "scripts", tmp_path / "scripts")
    shutil.copytree(CHECKOUT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def start(checkout: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [checkout / "observability", "version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_two_first_starts_at_once_make_one_environment(checkout: Path) -> None:
    first, second = start(checkout), start(checkout)
    results = [first.communicate(timeout=300), second.communicate(timeout=300)]

    assert (first.returncode, second.returncode) == (0, 0), results
    assert all(__version__ in output for output, _ in results)
    assert sorted("waiting for it" in errors for _, errors in results) == [False, True]
    assert sorted("Making the virtual environment" in errors for _, errors in results) == [False, True]


def test_an_interrupted_first_start_leaves_nothing_that_counts(checkout: Path) -> None:
    first = start(checkout)
    deadline = time.monotonic() + 60
    while not (checkout / ".venv.partial" / "bin").is_dir() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert not (checkout / ".venv").exists()

    second = start(checkout)
    output, errors = second.communicate(timeout=300)

    assert second.returncode == 0, errors
    assert __version__ in output
    assert not (checkout / ".venv.partial").exists()
    # Scripts name the place where the environment is, not the one where it was made.
    assert (checkout / ".venv" / "bin" / "supervisord").read_text().startswith(f"#!{checkout}/.venv/bin/python")
