"""`observability module`: what it shows, and the hosts' files that it changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obstack.cli.main import run
from obstack.cli.module_view import hosts_text

HOST = "# The first web server.\naddress: 192.0.2.10\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OBSERVABILITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OBSERVABILITY_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/hosts").mkdir(parents=True)
    (tmp_path / "config/global.yaml").write_text(
        "domain: mon.a.test\nserver: {address: 192.0.2.1}\n"
        "fleet: {groups: {bare: {modules: {nginx: {enabled: false, options: {port: 9999}}}}}}\n"
    )
    (tmp_path / "config/hosts/web-1.yaml").write_text(HOST)
    (tmp_path / "config/hosts/web-2.yaml").write_text("address: 192.0.2.11\ngroups: [bare]\n")
    return tmp_path


def host(folder: Path, name: str) -> str:
    return (folder / f"config/hosts/{name}.yaml").read_text()


def test_a_module_is_enabled_and_disabled_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["module", "enable", "nginx", "--host", "web-1", "--host", "web-2"]) == 0
    assert host(folder, "web-1") == f"{HOST}modules:\n  nginx: {{}}\n"
    assert "nginx:\n    enabled: true\n" in host(folder, "web-2")
    assert run(["module", "enable", "nginx", "--host", "web-1", "--option", "active_connections=900"]) == 0
    assert "active_connections: 900" in host(folder, "web-1")
    capsys.readouterr()
    assert run(["module", "list", "--json"]) == 0
    listed = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert listed["nginx"] == {
        "name": "nginx",
        "title": "nginx",
        "folder": "modules/nginx",
        "hosts": ["web-1", "web-2"],
    }
    assert run(["module", "disable", "nginx", "--host", "web-1"]) == 0
    assert "enabled: false" in host(folder, "web-1")
    assert "active_connections: 900" in host(folder, "web-1")
    assert run(["module", "enable", "nginx", "--host", "web-1"]) == 0
    assert "enabled: true" in host(folder, "web-1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ngnix", "--host", "web-1"], "There is no module ngnix. Did you mean nginx?"),
        (["nginx", "--host", "web-9"], "There is no host web-9."),
        (
            ["nginx", "--host", "web-1", "--option", "prot=1"],
            "is not NAME=VALUE of an option of nginx. Did you mean port?",
        ),
        (
            ["nginx", "--host", "web-1", "--option", "port=80"],
            "The option port must be a port from 1024 to 65535, but is",
        ),
        (["nginx", "--host", "web-1", "--option", "port=x"], "The option port must be a port"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run(["module", "enable", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert host(folder, "web-1") == HOST


def test_a_module_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["module", "show", "nginx"]) == 0
    shown = capsys.readouterr().out
    for part in ("nginx_up", "port 9113, TLS by the host's proxy", "active_connections", "NginxDown", "600"):
        assert part in shown
    assert run(["module", "show", "nginx", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["options"]["port"]["default"] == 9113
    assert document["rules"]["alerts"][0]["for"] == "${down_for}"


def test_a_module_of_ones_own_is_begun_checked_and_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["module", "new", "shop", "--folder", "further"]) == 0
    assert run(["module", "validate", "further/shop"]) == 0
    base = folder / "config/global.yaml"
    base.write_text(base.read_text() + "modules: {folder: ../further}\n")
    assert run(["module", "validate", "shop"]) == 0
    assert run(["module", "enable", "shop", "--host", "web-1"]) == 0
    (folder / "further/shop/runbooks/ShopDown.md").unlink()
    capsys.readouterr()
    assert run(["module", "validate", "shop", "--json"]) == 2
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["valid"] is False
    assert [problem["message"] for problem in verdict["problems"]] == ["ShopDown has no page"]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "no host"), (2, "web-0, web-1"), (9, "web-0, web-1, web-2, web-3, web-4 and 4 more")]
)
def test_of_many_hosts_the_first_are_listed(count: int, shown: str) -> None:
    assert hosts_text([f"web-{number}" for number in range(count)]) == shown
