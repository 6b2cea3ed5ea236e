"""`observability dashboard`: what it shows, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obstack.cli.main import run
from obstack.content.dashboards import STACK
from obstack.edges.module_places import module_names, shipped_folder

ALL = (*STACK, *module_names(shipped_folder()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OBSERVABILITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OBSERVABILITY_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder: Path, module: str = "") -> None:
    (folder / "config/hosts").mkdir(parents=True)
    (folder / "config/global.yaml").write_text("domain: mon.a.test\nserver: {address: 192.0.2.1}\n")
    (folder / "config/hosts/web-1.yaml").write_text(f"address: 192.0.2.10\nscrape_interval: 2m\n{module}")


def test_all_are_listed_without_a_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dashboard", "list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(ALL)
    assert run(["dashboard", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ALL) + 1


def test_one_is_shown_with_what_to_read_from_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dashboard", "show", "nginx"]) == 0
    assert "rate(nginx_http_requests_total[5m])" in capsys.readouterr().out
    assert run(["dashboard", "show", "ngnix"]) == 2
    assert "nginx" in capsys.readouterr().err


def test_they_are_written_for_grafana(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(folder)
    assert run(["dashboard", "export", "boards", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [f"boards/{name}.json" for name in ALL]
    board = json.loads((folder / "boards/nginx.json").read_text())
    assert board["uid"] == "obs-nginx"
    # The host that is scraped least often decides how far back a rate looks at least.
    assert {panel["interval"] for panel in board["panels"]} == {"120s"}


def test_those_that_were_chosen_are_written_and_a_wrong_name_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dashboard", "export", "boards", "fleet", "flet"]) == 2
    assert not (folder / "boards").exists()
    assert run(["dashboard", "export", "boards", "fleet"]) == 0
    assert [path.name for path in (folder / "boards").iterdir()] == ["fleet.json"]
    capsys.readouterr()


def test_a_configuration_with_faults_does_not_keep_them_from_being_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(folder, "modules: {nosuch: {}}\n")
    assert run(["dashboard", "list"]) == 0
    capsys.readouterr()
