"""The looks of detection, at this machine."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from obstack.agent import detect
from obstack.agent.wire import Look, Sighting


def look(kind: str, subject: str, ours: frozenset[str] = frozenset()) -> Sighting:
    (seen,) = detect.look([Look(kind, subject)], ours)
    assert (seen.kind, seen.subject) == (kind, subject)
    assert seen.evidence
    return seen


def test_a_program_is_found_where_root_would_find_it() -> None:
    assert look("command", "sh").answer == "yes"
    assert look("command", "no-such-program").answer == "no"


def test_a_file_is_there_or_not_or_could_not_be_looked_at(tmp_path: Path) -> None:
    assert look("file", str(tmp_path)).evidence == f"folder {tmp_path}"
    assert look("file", str(tmp_path / "none")).answer == "no"
    assert look("file", f"{tmp_path}/{'x' * 300}").answer == "unknown"
    assert look("file", str(tmp_path), frozenset({str(tmp_path)})).answer == "no"


def test_a_socket_counts_only_while_something_listens_on_it(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert look("socket", path).evidence == f"{path} is there, but nothing listens on it"
        server.listen()
        assert (look("socket", path).answer, look("socket", path).state) == ("yes", "active")
        assert look("socket", f"{link}/s").answer == "yes"
    assert look("socket", str(tmp_path / "none")).answer == "no"


def test_a_port_is_shown_with_its_program() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
        seen = look("port", str(port))
        assert seen.answer == "yes"
        assert seen.evidence.startswith(name)
        assert seen.evidence.endswith(f"listens on 127.0.0.1:{port}")
    assert look("port", str(port)).answer == "no"


def test_a_package_is_installed_or_not() -> None:
    assert look("package", "dpkg").evidence.startswith("package dpkg 1.")
    assert look("package", "no-such-package").answer == "no"


def test_where_systemd_cannot_be_asked_a_unit_is_unknown_and_other_looks_are_taken() -> None:
    asked = [Look("unit", "no-such.service"), Look("command", "sh"), Look("unit", "other.service")]
    seen = detect.look(asked)
    assert [one.subject for one in seen] == ["no-such.service", "sh", "other.service"]
    assert seen[1].answer == "yes"
    if subprocess.run(["systemctl", "show"], capture_output=True, check=False).returncode:
        assert [seen[0].answer, seen[2].answer] == ["unknown", "unknown"]


def test_a_look_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="shell"):
        detect.look([Look("shell", "rm -rf /")])


@pytest.mark.parametrize(
    ("values", "answer", "state"),
    [
        ({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "disabled"}, "yes", "active"),
        ({"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "enabled"}, "yes", "enabled"),
        ({"LoadState": "loaded", "ActiveState": "failed", "UnitFileState": "disabled"}, "yes", "idle"),
        ({"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": ""}, "yes", "idle"),
        ({"LoadState": "masked"}, "no", ""),
        ({"LoadState": "not-found"}, "no", ""),
        ({}, "no", ""),
        ({"LoadState": "loaded", "ActiveState": "active", "FragmentPath": "/etc/systemd/system/a.service"}, "no", ""),
    ],
)
def test_a_unit_is_judged_by_what_systemd_says(values: dict[str, str], answer: str, state: str) -> None:
    seen = detect._unit("a.service", values, frozenset({"/etc/systemd/system/a.service"}))
    assert (seen.answer, seen.state) == (answer, state)
