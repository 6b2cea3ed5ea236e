"""`observability secrets migrate` over real configuration files, with all that people write into them."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from obstack.cli.main import run

CANARY = "N7kqTz4wRm2X"
pytestmark = pytest.mark.security

BASE = f"""\
# the front door of the site
environment: testing
domain: observability.example.org
front_door:
  users:
    # the administrator
    - {{name: ada, password: {CANARY}-ada, role: admin}}   # since 2024
    - name: bob
      password: "{CANARY}: #bob"  # quoted, for its colon
    - name: eve
      password: secret:eve-password
alertmanager:
  smtp:
    host: mail.example.org
    sender: a@example.org
    username: a
    password: |
      {CANARY}-relay
    require_tls: true
"""
AFTER = """\
# the front door of the site
environment: testing
domain: observability.example.org
front_door:
  users:
    # the administrator
    - {name: ada, password: secret:ada-password, role: admin}   # since 2024
    - name: bob
      password: secret:bob-password  # quoted, for its colon
    - name: eve
      password: secret:eve-password
alertmanager:
  smtp:
    host: mail.example.org
    sender: a@example.org
    username: a
    password: secret:smtp-password
    require_tls: true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    (made / "global.yaml").write_text(BASE, encoding="utf-8")
    return made


def migrate(folder: Path, *words: str) -> int:
    return run(["secrets", "migrate", *words, "--config", str(folder)])


def plain(folder: Path) -> list[str]:
    """Return the files outside of the private folder that hold a value."""
    found = (path for path in folder.rglob("*") if path.is_file() and folder / "secrets" not in path.parents)
    return [path.name for path in found if CANARY.encode() in path.read_bytes()]


def test_values_are_moved_and_everything_else_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "global.yaml").chmod(0o640)
    assert migrate(folder) == 0
    captured = capsys.readouterr()
    assert CANARY not in captured.out + captured.err
    assert "global.yaml:7: front_door.users[0].password is now secret:ada-password" in captured.out
    assert "observability secrets rotate ada-password bob-password smtp-password" in captured.out
    assert (folder / "global.yaml").read_text() == AFTER
    assert stat.S_IMODE((folder / "global.yaml").stat().st_mode) == 0o640
    kept = {name: (folder / "secrets" / name).read_text() for name in ("ada-password", "bob-password", "smtp-password")}
    assert kept == {
        "ada-password": f"{CANARY}-ada\n",
        "bob-password": f"{CANARY}: #bob\n",
        "smtp-password": f"{CANARY}-relay\n",
    }
    assert plain(folder) == []
    assert migrate(folder) == 0
    assert "no secret stands in the configuration as plain text" in capsys.readouterr().out


def test_the_copies_that_this_program_keeps_are_cleaned_and_those_of_editors_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "global.yaml.1").write_text(BASE, encoding="utf-8")
    (folder / "global.yaml~").write_text(BASE, encoding="utf-8")
    (folder / ".global.yaml.swp").write_bytes(b"\0\1" + BASE.encode())
    (folder / "global.yaml").write_text(BASE + f"# it was {CANARY}-ada before\n", encoding="utf-8")
    assert migrate(folder, "--json") == 1
    captured = capsys.readouterr()
    assert CANARY not in captured.out + captured.err
    left = {(Path(item["file"]).name, item["line"]) for item in json.loads(captured.out)["left"]}
    assert ("global.yaml", 19) in left
    assert ("global.yaml~", 7) in left
    assert (".global.yaml.swp", 0) in left
    assert (folder / "global.yaml.1").read_text() == AFTER
    assert sorted(plain(folder)) == [".global.yaml.swp", "global.yaml", "global.yaml~"]


def test_environments_and_hosts_are_moved_too_and_names_do_not_clash(folder: Path) -> None:
    (folder / "environments").mkdir()
    (folder / "environments/staging.yaml").write_text(
        f"front_door:\n  users:\n  - {{name: ada, password: {CANARY}-other}}\n", encoding="utf-8"
    )
    (folder / "hosts").mkdir()
    for number in (1, 2):
        (folder / f"hosts/db-{number}.yaml").write_text(
            f"address: 192.0.2.{number}\nmodules:\n  redis:\n    options:\n      password: {CANARY}-{number}\n"
        )
    assert migrate(folder) == 0
    assert plain(folder) == []
    assert "secret:ada-password-2" in (folder / "environments/staging.yaml").read_text()
    assert "secret:redis-password" in (folder / "hosts/db-1.yaml").read_text()
    assert "secret:db-2-redis-password" in (folder / "hosts/db-2.yaml").read_text()
    assert (folder / "secrets/db-2-redis-password").read_text() == f"{CANARY}-2\n"


def test_history_in_git_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "global.yaml"], check=True)
    assert migrate(folder) == 0
    assert "git's history keeps the values of" in capsys.readouterr().out


def test_what_cannot_be_a_secret_is_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_lines = BASE.replace(f"{CANARY}-relay\n", f"{CANARY}-relay\n      more\n")
    (folder / "global.yaml").write_text(two_lines, encoding="utf-8")
    assert migrate(folder) == 2
    captured = capsys.readouterr()
    assert CANARY not in captured.out + captured.err
    assert (folder / "global.yaml").read_text() == two_lines
    assert not (folder / "secrets/ada-password").exists()
