import importlib
import json
import subprocess
import sys

import click
import pytest

from obstack.cli.lazy import DocumentedCommand, LazyGroup
from obstack.cli.main import COMMANDS, cli, run
from obstack.cli.reference import commands


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_what_the_command_itself_says(name: str) -> None:
    command = importlib.import_module(COMMANDS[name].module).command
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == COMMANDS[name].summary


LEAVES = list(commands())


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[path for path, _ in LEAVES])
def test_every_command_has_examples_of_itself(path: str, command: click.Command) -> None:
    assert isinstance(command, DocumentedCommand)
    assert command.examples
    assert all(example.startswith(path) for example in command.examples)


@pytest.mark.parametrize("group", ["config", "generations"])
def test_the_overview_of_a_group_cuts_no_line(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([group, "--help"]) == 0
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


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


def test_help_imports_neither_the_model_nor_the_display() -> None:
    script = (
        "import sys\n"
        "from obstack.cli.main import run\n"
        "assert run(['--help']) == 0\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'pydantic', 'rich', 'httpx', 'cryptography', 'ruamel', 'asyncio'}, loaded\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_answers_to_what_the_program_reads(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell, "--name", "obs"]) == 0
    assert f"_OBSERVABILITY_COMPLETE={shell}_complete" in capsys.readouterr().out
