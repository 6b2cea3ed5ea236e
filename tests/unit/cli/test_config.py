import json
import subprocess
from pathlib import Path

import pytest

from obstack.cli.main import run
from obstack.model.reference import json_schema


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun() -> None:
    assert run(["config", "init", "--domain", "mon.test"]) == 0


def test_init_says_what_it_made_and_what_comes_next(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    begun()
    output = capsys.readouterr().out
    assert "wrote config/global.yaml" in output
    assert "login admin, password in config/secrets/admin-password" in output
    assert "observability config validate" in output
    assert (folder / "config/secrets/admin-password").read_text().strip() not in output


def test_init_without_a_domain_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] is None
    assert run(["config", "validate"]) == 0


def test_init_over_a_configuration_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    begun()
    assert run(["config", "init"]) == 2
    assert "error[configuration-exists]" in capsys.readouterr().err
    assert run(["config", "init", "--force", "--domain", "mon.test"]) == 0
    assert "kept  config/global.yaml.1" in capsys.readouterr().out


def test_git_does_not_see_the_secrets(folder: Path) -> None:
    begun()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "config/global.yaml" in listed.stdout
    assert "secrets" not in listed.stdout


def test_validate_shows_every_problem_with_its_line_and_a_caret(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    begun()
    capsys.readouterr()
    (folder / "config/global.yaml").write_text("domain: mon.test\nlogs:\n  engine: loki\n  prt: 1\n")
    assert run(["config", "validate"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "config/global.yaml:3:11: logs.engine: must be journal, but is “loki”",
        "  3 |   engine: loki",
        "                ^",
        "  do: Write journal.",
        "config/global.yaml:4:3: logs.prt: is not a known key",
        "  4 |   prt: 1",
        "        ^",
        "  do: Did you mean port?",
        "2 problems; nothing was touched",
    ]


def test_validate_as_json_is_one_document(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    begun()
    capsys.readouterr()
    assert run(["config", "validate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "files": ["config/global.yaml"], "problems": []}
    (folder / "config/secrets/admin-password").unlink()
    assert run(["config", "validate", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is False
    assert [problem["path"] for problem in document["problems"]] == ["front_door.users[0].password"]


def test_validate_checks_every_environment(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    begun()
    overlays = folder / "config/environments"
    overlays.mkdir()
    (overlays / "drill.yaml").write_text("gates: {deadline: 90s}\n")
    capsys.readouterr()
    assert run(["config", "validate"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "config/global.yaml: valid",
        "config/global.yaml + config/environments/drill.yaml: valid",
    ]
    (overlays / "staging.yaml").write_text("logs: {port: 9090}\n")
    assert run(["config", "validate"]) == 2
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert first == "In the environment staging:"
    assert second.startswith("config/environments/staging.yaml:1:14: logs.port: ")
    assert last == "1 problem; nothing was touched"
    assert run(["config", "validate", "--environment", "drill"]) == 0
    capsys.readouterr()
    assert run(["config", "validate", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert len(document["files"]) == 3
    assert [(problem["environment"], problem["path"]) for problem in document["problems"]] == [("staging", "logs.port")]


def test_without_a_configuration_the_remedy_is_to_begin_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show"]) == 2
    assert "do: observability config init --domain NAME" in capsys.readouterr().err


def test_show_merges_and_says_where_each_value_came_from(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    begun()
    (folder / "config/environments").mkdir()
    (folder / "config/environments/staging.yaml").write_text("prometheus:\n  retention_time: 5d\n")
    capsys.readouterr()
    assert run(["config", "show", "--origin", "--environment", "staging"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["prometheus.retention_time", "5d", "config/environments/staging.yaml:2:19"] in lines
    assert ["environment", "staging", "config/environments/staging.yaml"] in lines
    assert ["gates.deadline", "60s", "default"] in lines
    assert run(["config", "show", "--origin", "--json", "--environment", "staging"]) == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 2


def test_what_show_prints_is_a_configuration(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    begun()
    capsys.readouterr()
    assert run(["config", "show"]) == 0
    text = capsys.readouterr().out
    assert "password: secret:admin-password" in text
    (folder / "shown.yaml").write_text(text)
    assert run(["config", "diff", "shown.yaml"]) == 0
    assert capsys.readouterr().out.endswith("no difference\n")
    assert run(["config", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["domain"] == "mon.test"


def test_diff_compares_by_meaning(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    begun()
    (folder / "config/environments").mkdir()
    (folder / "config/environments/staging.yaml").write_text("prometheus: {retention_time: 5d, retention_size: 1GB}\n")
    capsys.readouterr()
    assert run(["config", "diff", "staging"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "config/global.yaml  ->  config/global.yaml + config/environments/staging.yaml",
        "~ environment: production -> staging",
        "~ prometheus.retention_time: 30d -> 5d",
        "+ prometheus.retention_size: 1GB",
    ]
    assert run(["config", "diff", "stagin"]) == 2
    assert "Did you mean staging?" in capsys.readouterr().err


def test_show_works_while_something_is_yet_to_be_corrected(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    begun()
    (folder / "config/global.yaml").write_text("domain: mon.test\nlogs: {port: 9090}\n")
    capsys.readouterr()
    assert run(["config", "show", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["logs"]["port"] == 9090
    assert captured.err == "note: 1 problem; observability config validate shows them\n"


def test_the_schema_is_printed_and_lies_beside_the_configuration(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    begun()
    capsys.readouterr()
    assert run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
    assert json.loads((folder / "config/configuration.schema.json").read_text()) == json_schema()


def test_the_schema_lets_a_section_be_empty_but_not_a_value() -> None:
    properties = json_schema()["properties"]
    assert {"type": "null"} in properties["prometheus"]["anyOf"]
    assert "anyOf" not in properties["domain"]
