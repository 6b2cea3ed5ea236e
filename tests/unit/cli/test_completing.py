"""Completion through click's own protocol, on the files that a machine keeps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from obstack.agent.paths import Paths
from obstack.agent.wire import GateEntry, Manifest, UnitEntry
from obstack.catalog.components import COMPONENTS
from obstack.cli.composition import open_channel
from obstack.cli.main import cli
from obstack.cli.options import Scope, make_target

UNITS = ("nginx", "node-exporter", "observability-recover")
JOURNALS = GateEntry("journals", "journal-received", "journal-receive", {"hosts": ["db-1", "web-1"]})
FIRST, SECOND = (
    Manifest(
        name,
        "server",
        "systemd",
        units=tuple(UnitEntry(unit, f"units/{unit}.service") for unit in UNITS),
        gates=(JOURNALS,),
    )
    for name in ("mon-1", "web-1")
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private root with two generations, in the folder where the shell stands."""
    root = tmp_path / ".observability"
    paths = Paths(str(root))
    for manifest in (FIRST, SECOND):
        for unit in manifest.units:
            file = Path(paths.generation(manifest.identity), unit.file)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        Path(paths.manifest(manifest.identity)).write_bytes(manifest.body)
    Path(paths.generation("f" * 64) + ".partial").mkdir()
    Path(paths.current).symlink_to(f"generations/{SECOND.identity}")
    monkeypatch.chdir(tmp_path)
    return root


def completed(*words: str, incomplete: str = "") -> list[str]:
    return [
        item.value for item in ShellComplete(cli, {}, "observability", "_").get_completions(list(words), incomplete)
    ]


def test_units_with_a_log_are_completed() -> None:
    assert completed("logs") == ["nginx", "node-exporter"]
    assert completed("logs", incomplete="no") == ["node-exporter"]


def test_hosts_whose_journal_is_here_are_completed() -> None:
    assert completed("logs", "--host") == ["db-1", "web-1"]
    assert completed("logs", "--host", incomplete="w") == ["web-1"]


@pytest.mark.parametrize(
    "words", [("rollback", "--to"), ("generations", "show"), ("generations", "diff"), ("generations", "diff", "a")]
)
def test_generations_are_completed(words: tuple[str, ...]) -> None:
    assert completed(*words) == sorted(manifest.identity[:12] for manifest in (FIRST, SECOND))
    assert completed(*words, incomplete=FIRST.identity[:5]) == [FIRST.identity[:12]]


def test_environments_are_those_of_the_configuration_that_the_command_would_take(root: Path, tmp_path: Path) -> None:
    for folder, name in ((root / "config", "drill"), (tmp_path / "config", "staging"), (tmp_path / "own", "mine")):
        (folder / "environments").mkdir(parents=True)
        (folder / "environments" / f"{name}.yaml").touch()
    assert completed("setup", "--environment") == ["staging"]
    assert completed("config", "validate", "--environment") == ["staging"]
    assert completed("plan", "--environment") == ["drill"]
    assert completed("plan", "--config", "own", "--environment") == ["mine"]
    assert completed("plan", "--environment", incomplete="s") == []


def test_components_are_completed() -> None:
    assert completed("lock", "--update") == sorted(COMPONENTS)
    assert completed("lock", "--update", incomplete="no") == ["node-exporter"]


@pytest.mark.parametrize(
    ("verb", "last"),
    [(("logs",), ()), (("rollback",), ("--to",)), (("generations", "show"), ()), (("plan",), ("--environment",))],
)
def test_what_is_not_there_completes_to_nothing(verb: tuple[str, ...], last: tuple[str, ...], tmp_path: Path) -> None:
    assert completed(*verb, "--root", str(tmp_path / "empty"), *last) == []


def test_a_shell_in_a_folder_that_is_gone_is_not_disturbed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\nfrom obstack.cli.main import main; main([])"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            "_OBSERVABILITY_COMPLETE": "bash_complete",
            "COMP_WORDS": "observability logs ",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "", "")


def test_a_machine_is_called_as_the_generation_in_force_calls_it(root: Path) -> None:
    target = make_target(None, None, None, Scope.NEAREST)
    assert open_channel(target).node == "web-1"
    assert open_channel(target, "db-1").node == "db-1"
    manifest = Path(Paths(str(root)).current, "manifest.json")
    for damaged in (b"[]", b"{", b"{}"):
        manifest.write_bytes(damaged)
        assert open_channel(target).node == "localhost"
    os.unlink(Paths(str(root)).current)
    assert open_channel(target).node == "localhost"


@pytest.mark.parametrize("verb", ["show", "validate", "enable", "disable"])
def test_modules_are_completed(verb: str) -> None:
    assert completed("module", verb, incomplete="ng") == ["nginx"]
    assert {"haproxy", "node"} <= set(completed("module", verb))
