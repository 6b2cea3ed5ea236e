import contextlib
from pathlib import Path

import pytest

from obstack.cli.options import Scope, decide_root, make_target
from obstack.model.layout import Manager


@pytest.mark.parametrize(
    ("given", "private_exists", "stack_exists", "expected"),
    [
        ("/srv/x", True, True, "/srv/x"),
        (None, False, False, "/"),
        (None, False, True, "/"),
        (None, True, True, "/"),
        (None, True, False, ".observability"),
    ],
)
def test_which_machine_is_meant(
    given: str | None, private_exists: bool, stack_exists: bool, expected: str, tmp_path: Path
) -> None:
    if private_exists:
        (tmp_path / ".observability").mkdir()
    root, why = decide_root(Path(given) if given else None, tmp_path, stack_exists)
    assert root == (tmp_path / expected if expected == ".observability" else Path(expected))
    assert why


def test_a_private_root_has_its_configuration_inside_and_the_machine_in_the_working_directory(tmp_path: Path) -> None:
    private = make_target(tmp_path, None, None, Scope.NEAREST)
    assert (private.layout.root, private.layout.manager, private.private) == (
        str(tmp_path),
        Manager.SUPERVISOR,
        True,
    )
    assert private.configuration == tmp_path / "config"
    machine = make_target(None, None, "staging", Scope.SERVER)
    assert (machine.layout.root, machine.layout.manager, machine.private) == ("", Manager.SYSTEMD, False)
    assert (machine.configuration, machine.environment) == (Path("config"), "staging")


def test_a_command_for_servers_takes_no_private_root_by_itself(tmp_path: Path) -> None:
    (tmp_path / ".observability").mkdir()
    with contextlib.chdir(tmp_path):
        target = make_target(None, None, None, Scope.SERVER)
    assert target.layout.root == ""


def test_a_command_on_files_takes_the_private_root_only_while_the_machine_has_no_configuration(tmp_path: Path) -> None:
    (tmp_path / ".observability").mkdir()
    with contextlib.chdir(tmp_path):
        private = make_target(None, None, None, Scope.FILES)
        Path("config").mkdir()
        machine = make_target(None, None, None, Scope.FILES)
    assert private.configuration == tmp_path / ".observability/config"
    assert machine.configuration == Path("config")
