"""Supervisor programs: data reach the program as they are, preflight comes first, and the process is the program."""

from __future__ import annotations

import configparser
import shlex
import subprocess
from pathlib import Path

import pytest

from obstack.model.layout import Layout, Manager
from obstack.render.service import Service
from obstack.render.supervisor import render_supervisor

WORDS = ("$HOME", "`id`", "$(id)", "a b", "'", '"', ";", " # ", "%h", "", "*", "--", "\\")


def command(service: Service, folder: Path) -> list[str]:
    layout = Layout(root=str(folder), manager=Manager.SUPERVISOR)
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(render_supervisor(service, layout).content.decode())
    return shlex.split(parser.get("program:x", "command") % {})


def service(*argv: str, preflight: tuple[tuple[str, ...], ...] = ()) -> Service:
    return Service(name="x", description="x", argv=argv, user="x", preflight=preflight)


@pytest.mark.parametrize("checks", [0, 1, 3])
def test_every_word_reaches_the_program_unchanged(checks: int, tmp_path: Path) -> None:
    preflight = (("/usr/bin/test", "$(exit 1)", "=", "$(exit 1)"),) * checks
    argv = command(service("/usr/bin/printf", "%s|", *WORDS, preflight=preflight), tmp_path)
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{word}|" for word in WORDS)


def test_a_failed_preflight_ends_it_with_its_code(tmp_path: Path) -> None:
    preflight = (("/bin/true",), ("/bin/sh", "-c", "exit 7"))
    argv = command(service("/bin/echo", "never", preflight=preflight), tmp_path)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "")


def test_the_process_becomes_the_program(tmp_path: Path) -> None:
    argv = command(service("/bin/sh", "-c", "echo $$", preflight=(("/bin/true",),)), tmp_path)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate()
    assert output == f"{process.pid}\n"
