import importlib
import json

import click
import pytest

from obstack.cli.lazy import DocumentedCommand, LazyGroup
from obstack.cli.main import COMMANDS, cli, run


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_what_the_command_itself_says(name: str) -> None:
    command = importlib.import_module(COMMANDS[name].module).command
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == COMMANDS[name].summary


def leaves() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []

    def walk(path: str, command: click.Command) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk(f"{path} {name}", child)
        else:
            found.append((path, command))

    walk("observability", cli)
    return found


@pytest.mark.parametrize(("path", "command"), leaves(), ids=[path for path, _ in leaves()])
def test_every_command_has_examples_of_itself(path: str, command: click.Command) -> None:
    assert isinstance(command, DocumentedCommand)
    assert command.examples
    assert all(example.startswith(path) for example in command.examples)


def test_an_unknown_command_is_bad_usage_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["versoin"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error[usage] No such command 'versoin'. Did you mean 'version'?" in captured.err
    assert "  do:    observability --help" in captured.err


def test_with_json_an_error_is_the_one_document_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version", "--json", "--no-such-option"]) == 2
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out)["error"]["code"] == "usage"


def test_version_as_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"version", "python", "executable"}


def test_the_group_is_lazy() -> None:
    assert isinstance(cli, LazyGroup)
