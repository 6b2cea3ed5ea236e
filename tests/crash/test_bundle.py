"""A change in one file: made, carried and run as a real Python program on a small private root."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crash.world import Generation, World, with_gate
from obstack.edges import bundle
from obstack.edges.agent_archive import packed_agent
from obstack.errors import UsageError
from obstack.ports import Contents


def packed(small: World, generation: Generation) -> Path:
    content = bundle.pack(generation.manifest, Contents(generation.blobs), packed_agent(small.cache))
    path = small.root.parent / f"{generation.identity[:12]}.bundle"
    bundle.write(content, path)
    return path


def run(small: World, path: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(path), "--root", str(small.root), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/")
    assert done.returncode == code, done
    return done


def document(small: World, path: Path, *arguments: str, code: int = 0) -> Any:
    return json.loads(run(small, path, *arguments, "--json", code=code).stdout)


def test_what_it_shows_is_what_it_makes_and_a_second_time_there_is_nothing_to_do(small: World) -> None:
    generation = small.generation("one")
    path = packed(small, generation)
    shown = document(small, path, "show")
    assert (shown["in_force"], shown["unchanged"]) == (None, False)
    assert {unit["unit"]: unit["action"] for unit in shown["units"]} == {"alpha": "start", "beta": "start"}
    assert not small.state.exists()

    done = run(small, path, "apply")
    assert done.stdout.startswith(f"web-1: committed, generation {generation.identity[:12]} is in force, 1 of 1 gates")
    assert "web-1: commit: " in done.stderr
    small.assert_whole(generation)
    assert document(small, path, "show")["unchanged"]
    assert document(small, path, "apply")["outcome"] == "unchanged"
    assert run(small, path, "health").stdout.startswith("  ok       answer: GET ")

    second = packed(small, small.generation("two"))
    assert "etc/alpha/alpha.conf changed" in run(small, second, "show").stdout
    assert document(small, second, "apply")["previous"] == generation.identity


def test_a_red_gate_undoes_it_with_the_exit_code_of_any_apply(small: World) -> None:
    before = small.generation("before")
    run(small, packed(small, before), "apply")
    path = packed(small, with_gate(small.generation("red", gate="red"), deadline_s=0))
    done = run(small, path, "apply", code=3)
    assert "error[gate-failed]" in done.stderr
    assert "make and carry a new bundle" in done.stderr
    assert "observability" not in done.stderr.partition("do:")[2]
    small.assert_whole(before)


def test_it_is_for_its_owner_only_and_equal_changes_make_equal_files(small: World) -> None:
    path = packed(small, small.generation())
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    assert packed(small, small.generation()).read_bytes() == content
    verified = document(small, path, "verify")
    assert verified["node"] == "web-1"
    assert verified["sha256"] == subprocess.run(["sha256sum", path], capture_output=True, text=True).stdout.split()[0]


def for_node(generation: Generation, node: str, role: str = "observability") -> Generation:
    return replace(generation, manifest=replace(generation.manifest, node=node, role=role))


@pytest.mark.security
def test_a_machine_of_another_name_is_left_alone_until_it_is_said_that_it_was_renamed(small: World) -> None:
    before = for_node(small.generation(), "web-2")
    run(small, packed(small, before), "apply")
    after = small.generation("two")
    path = packed(small, after)
    for verb in ("show", "apply", "health"):
        refused = run(small, path, verb, code=2)
        assert refused.stdout == ""
        assert (
            "error[another-machine] This machine is web-2 (observability), and the bundle is for web-1."
            in refused.stderr
        )
        assert f"sudo python3 {path} apply --take-over" in refused.stderr
    small.assert_whole(before)

    assert document(small, path, "apply", "--take-over")["outcome"] == "committed"
    small.assert_whole(after)
    assert document(small, path, "apply")["outcome"] == "unchanged"


@pytest.mark.security
def test_a_server_is_not_made_a_host_whatever_is_said(small: World) -> None:
    server = small.generation()
    run(small, packed(small, server), "apply")
    host = packed(small, for_node(small.generation("two"), "web-1", "monitored-host"))
    assert "carry the bundle to web-1" in run(small, host, "apply", "--take-over", code=2).stderr
    small.assert_whole(server)


def test_an_empty_machine_of_another_name_is_told_of_and_taken(small: World) -> None:
    told = run(small, packed(small, small.generation()), "show")
    assert f"note: this machine calls itself {platform.node()}, the bundle is for web-1" in told.stderr
    namesake = for_node(small.generation(), platform.node())
    assert "note:" not in run(small, packed(small, namesake), "apply").stderr
    small.assert_whole(namesake)


@pytest.mark.parametrize("left", [0.3, 0.6, 0.99, 0.9999])
def test_a_file_that_was_cut_off_says_so_and_touches_nothing(small: World, left: float) -> None:
    path = packed(small, small.generation())
    os.truncate(path, int(path.stat().st_size * left))
    done = run(small, path, "apply", code=2)
    assert "error[bundle-damaged]" in done.stderr
    assert not small.state.exists()


@pytest.mark.security
def test_a_file_that_was_altered_anywhere_says_so_and_touches_nothing(small: World) -> None:
    path = packed(small, small.generation())
    whole = path.read_bytes()
    start = whole.index(bundle.MARK) + len(bundle.MARK)
    for place in range(start + 10, len(whole), (len(whole) - start) // 8):
        altered = bytearray(whole)
        altered[place] = ord("A") if altered[place] != ord("A") else ord("B")
        path.write_bytes(altered)
        assert "error[bundle-damaged]" in run(small, path, "apply", code=2).stderr
    assert not small.state.exists()


def test_a_program_that_was_cut_off_never_ends_well(small: World) -> None:
    path = packed(small, small.generation())
    program = path.read_bytes().partition(bundle.MARK)[0].splitlines(keepends=True)
    first = next(number for number, line in enumerate(program) if line.startswith(b"try:"))
    for lines in range(first + 1, len(program), 7):
        path.write_bytes(b"".join(program[:lines]))
        assert subprocess.run([sys.executable, path, "apply"], capture_output=True).returncode != 0


@pytest.mark.security
def test_what_lies_beside_it_is_not_imported(small: World) -> None:
    path = packed(small, small.generation())
    path.with_name("hashlib.py").write_text("raise SystemExit(99)\n")
    run(small, path, "verify")


def test_wrong_usage_is_told(small: World) -> None:
    path = packed(small, small.generation())
    assert "show | apply | health | verify" in run(small, path, "explode", code=2).stderr
    assert not small.state.exists()


def test_a_content_that_is_not_here_is_told_before_a_file_is_made(small: World) -> None:
    with pytest.raises(UsageError) as caught:
        bundle.pack(small.generation().manifest, Contents(), packed_agent(small.cache))
    assert caught.value.code == "content-missing"
