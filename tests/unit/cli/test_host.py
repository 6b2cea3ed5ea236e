"""The commands about hosts that need no host."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from obstack.cli.main import cli, run
from obstack.edges.certificates import InternalAuthority
from obstack.edges.configfile import FileConfigurations
from obstack.edges.secrets import FileSecrets
from obstack.operations.hosts import said_of

BASE = """\
domain: mon.test
server: {address: 192.0.2.1}
fleet:
  groups:
    web:
      labels: {team: shop}
      scrape_interval: 30s
      modules: {node: {options: {port: 9110}}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "global.yaml").write_text(BASE, encoding="utf-8")
    return tmp_path / "config"


def document(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def add(*words: str) -> int:
    return run(["host", "add", "web-1", "--address", "192.0.2.10", *words])


def test_add_writes_what_was_given_and_says_what_comes_next(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert add("--group", "web", "--module", "node", "--ssh", "admin@web-1.test", "--ssh-port", "2222") == 0
    output = capsys.readouterr().out
    assert output.startswith("wrote config/hosts/web-1.yaml\n")
    assert "observability host check web-1" in output
    assert (folder / "hosts" / "web-1.yaml").read_text(encoding="utf-8") == (
        "# yaml-language-server: $schema=host.schema.json\n"
        "address: 192.0.2.10\nssh:\n  destination: admin@web-1.test\n  port: 2222\n"
        "groups: [web]\nmodules:\n  node: {}\n"
    )


def test_add_of_a_host_without_ssh(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert add("--no-ssh") == 0
    assert "ssh: null\n" in (folder / "hosts" / "web-1.yaml").read_text(encoding="utf-8")
    assert "observability host bundle web-1" in capsys.readouterr().out
    for more in (["--ssh-port", "22"], ["--detect"]):
        assert run(["host", "add", "web-2", "--address", "192.0.2.11", "--no-ssh", *more]) == 2


def test_add_of_a_bad_host_shows_every_problem_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert run(["host", "add", "web-1", "--address", "WEB", "--group", "wep", "--module", "nod"]) == 2
    complaint = capsys.readouterr().err
    assert "config/hosts/web-1.yaml:2:10: hosts.web-1.address" in complaint
    assert "Did you mean web?" in complaint
    assert "Did you mean node?" in complaint
    assert not (folder / "hosts" / "web-1.yaml").exists()


def test_list_shows_each_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["host", "list"]) == 0
    assert "no hosts yet" in capsys.readouterr().out
    add("--group", "web", "--ssh-port", "2222")
    assert document(capsys, "host", "list") == {
        "hosts": [
            {
                "name": "web-1",
                "address": "192.0.2.10",
                "reached": "root@192.0.2.10 port 2222",
                "groups": ["web"],
                "modules": ["node"],
            }
        ]
    }
    assert run(["host", "list"]) == 0
    assert "web-1  192.0.2.10  root@192.0.2.10 port 2222  web" in capsys.readouterr().out


def test_show_tells_where_each_value_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    add("--group", "web")
    shown = document(capsys, "host", "show", "web-1")
    origins = {row["path"]: row["origin"] for row in shown["values"]}
    assert origins["address"] == "config/hosts/web-1.yaml:2:10"
    assert origins["logs"] == "default"
    assert shown["labels"] == {"team": "shop"}
    (node,) = shown["modules"]
    assert (node["name"], node["port"], node["interval"]) == ("node", 9110, "30s")
    assert {"option": "port", "value": 9110, "origin": "the group web"} in node["options"]
    assert run(["host", "show", "web-1"]) == 0
    assert ", port 9110, every 30s\n" in capsys.readouterr().out


def test_show_of_an_unknown_host_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    add()
    assert run(["host", "show", "wep-1"]) == 2
    assert "There is no host wep-1. Did you mean web-1?" in capsys.readouterr().err


def test_a_removed_host_takes_its_certificates_along(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    add()
    authority = InternalAuthority(FileSecrets(folder / "secrets"), "observability")
    authority.certificate("host-web-1", ("web-1", "192.0.2.10"), time.time(), purpose="both")
    authority.self_signed("gate-web-1", time.time())
    assert run(["host", "remove", "web-1"]) == 2
    assert "host remove web-1 --yes" in capsys.readouterr().err
    removed = document(capsys, "host", "remove", "web-1", "--yes")
    assert removed == {
        "host": "web-1",
        "kept": "config/hosts/web-1.yaml.1",
        "cleaned": False,
        "certificates": ["host-web-1", "gate-web-1"],
        "server": None,
    }
    assert authority.issued("host-web-1") is None
    assert document(capsys, "host", "list") == {"hosts": []}


def test_a_host_that_is_still_named_elsewhere_is_not_removed(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    add()
    (folder / "global.yaml").write_text(BASE.replace("fleet:", "fleet:\n  canaries: [web-1]"), encoding="utf-8")
    assert run(["host", "remove", "web-1", "--yes"]) == 2
    assert "config/global.yaml:4:14: fleet.canaries[0]: web-1 is not a host" in capsys.readouterr().err
    assert (folder / "hosts" / "web-1.yaml").exists()


@pytest.mark.parametrize("verb", ["check", "detect"])
def test_a_host_that_is_served_by_bundles_is_not_looked_at(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    add("--no-ssh")
    assert run(["host", verb, "web-1"]) == 2
    assert "error[host-by-bundle]" in capsys.readouterr().err


def test_this_machine_is_looked_at_without_any_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    seen = document(capsys, "host", "detect")
    assert {one["module"] for one in seen["modules"]} >= {"nginx", "redis"}
    assert all(one["evidence"] for one in seen["modules"])
    assert run(["host", "detect", "--write"]) == 2


def test_what_a_group_names_is_said_of_its_hosts(folder: Path) -> None:
    add("--group", "web", "--module", "nginx")
    loaded = FileConfigurations(folder).load()
    assert said_of(loaded, "web-1") == {
        "address": "192.0.2.10",
        "groups": ["web"],
        "modules": {"node": None, "nginx": None},
    }


def test_hosts_are_completed(folder: Path) -> None:
    add()
    (folder / "hosts" / "web-1.yaml.1").touch()
    complete = ShellComplete(cli, {}, "observability", "_")
    assert [item.value for item in complete.get_completions(["host", "show"], "")] == ["web-1"]
    assert [item.value for item in complete.get_completions(["host", "show"], "x")] == []
