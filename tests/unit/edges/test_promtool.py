"""Which promtool judges a module: that of the stack on this machine, else one on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from obstack.agent.paths import Paths
from obstack.edges.promtool import Promtool, find_promtool


def program(place: Path) -> Path:
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return place


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_without_any_there_is_none(tmp_path: Path) -> None:
    assert find_promtool(str(tmp_path)) is None


def test_that_of_the_stack_goes_before_that_of_the_path(tmp_path: Path, path: Path) -> None:
    own = program(path / "promtool")
    assert find_promtool(str(tmp_path)) == Promtool(own)
    deployed = program(Path(Paths(str(tmp_path)).current, "artifacts/prometheus/usr/bin/promtool"))
    assert find_promtool(str(tmp_path)) == Promtool(deployed)
