import contextlib
from pathlib import Path

import pytest

from obstack.cli.options import decide_root, make_target
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
    private = make_target(tmp_path, None, None, server=False)
    assert (private.layout.root, private.layout.manager, private.private) == (
        str(tmp_path),
        Manager.SUPERVISOR,
        True,
    )
    assert private.configuration == tmp_path / "config"
    machine = make_target(None, None, "staging", server=True)
    assert (machine.layout.root, machine.layout.manager, machine.private) == ("", Manager.SYSTEMD, False)
    assert (machine.configuration, machine.environment) == (Path("config"), "staging")


def test_a_command_for_servers_takes_no_private_root_by_itself(tmp_path: Path) -> None:
    (tmp_path / ".observability").mkdir()
    with contextlib.chdir(tmp_path):
        target = make_target(None, None, None, server=True)
    assert target.layout.root == ""
