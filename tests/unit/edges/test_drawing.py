"""Several controllers on one configuration folder at once: what is drawn once is drawn by one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from obstack.edges.secrets import FileSecrets
from obstack.edges.secrets.folder import DRAWING_LOCK, PrivateFolder
from obstack.errors import LockHeld

pytestmark = pytest.mark.security

CONTROLLER = """
import json, sys, time
from pathlib import Path
from obstack.edges.certificates import InternalAuthority
from obstack.edges.secrets import FileSecrets

secrets = FileSecrets(Path(sys.argv[1]))
authority = InternalAuthority(secrets, "test")
print("ready", flush=True)
sys.stdin.readline()
drawn = {}
for name in sys.argv[2:]:
    drawn[name] = authority.certificate(name, (f"{name}.example.org",), time.time(), by="scrape").chain
drawn["gate"] = authority.self_signed("gate-web-1", time.time()).chain
drawn["authority"] = authority.authority_pem("scrape", time.time())
drawn["login"] = secrets.gate_login().hash
drawn["key"] = secrets.node_key("web-1").hex()
print(json.dumps(drawn))
"""
NAMES = ("host-a", "host-b", "host-c")


def controllers(folder: Path, count: int) -> list[dict[str, str]]:
    """Let so many processes draw at the same instant, and return what each of them came to."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, str(folder), *NAMES],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=60)[0]) for process in started]


def test_all_come_to_the_same_certificates_authorities_and_hashes(tmp_path: Path) -> None:
    first, *others = controllers(tmp_path / "secrets", 5)
    for other in others:
        assert other == first
    assert controllers(tmp_path / "secrets", 1) == [first], "and that is what was kept"


def test_what_is_there_is_used_without_waiting_for_who_draws(tmp_path: Path) -> None:
    (drawn,) = controllers(tmp_path / "secrets", 1)
    with PrivateFolder(tmp_path / "secrets").drawing():
        assert controllers(tmp_path / "secrets", 1) == [drawn]


def test_whoever_waits_too_long_is_told_who_draws(tmp_path: Path) -> None:
    folder = PrivateFolder(tmp_path)
    with folder.drawing():
        pass
    argv = ["flock", str(tmp_path / DRAWING_LOCK), "sh", "-c", "echo held; exec cat"]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld) as caught, folder.drawing(limit_s=0.2):
            pass
        assert f"process {holder.pid} has been drawing" in caught.value.what
        assert str(holder.pid) in caught.value.do
    finally:
        holder.communicate()


def test_nothing_is_written_where_nothing_has_to_be_drawn(tmp_path: Path) -> None:
    assert FileSecrets(tmp_path / "secrets").kept("host-a") is None
    assert not (tmp_path / "secrets").exists()
