"""`observability secrets` over a real configuration, as far as no machine is touched."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from obstack.cli.main import run
from obstack.edges.secrets import FileSecrets, open_secrets
from obstack.model.secret import Secret
from obstack.model.secrets import Provider, Secrets
from obstack.operations.rotation import begin

CANARY = "N7kqTz4wRm2XcV9pLd3H"
BASE = """\
environment: testing
domain: observability.example.org
front_door:
  users: [{name: ada, password: secret:ada-password, role: admin}]
alertmanager:
  smtp: {host: mail.example.org, sender: a@example.org, username: a, password: secret:smtp-password}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    (made / "global.yaml").write_text(BASE, encoding="utf-8")
    return made


class Typed(io.TextIOWrapper):
    """Standard input as a pipe has it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")


class Called:
    """A command over the folder, with what it prints."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def __call__(self, *words: str, given: bytes = b"") -> tuple[int, str, str]:
        before, sys.stdin = sys.stdin, Typed(given)
        try:
            code = run(["secrets", *words, "--config", str(self.folder)])
        finally:
            sys.stdin = before
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def document(self, *words: str, given: bytes = b"") -> Any:
        return json.loads(self(*words, "--json", given=given)[1])


@pytest.fixture
def called(folder: Path, capsys: pytest.CaptureFixture[str]) -> Called:
    return Called(folder, capsys)


def test_init_draws_what_is_ours_and_names_what_somebody_else_gives(called: Called, folder: Path) -> None:
    made = called.document("init")
    assert made["drawn"] == ["ada-password"]
    assert [(item["name"], item["type"]) for item in made["by_hand"]] == [
        ("smtp-password", "observability secrets set smtp-password")
    ]
    drawn = (folder / "secrets/ada-password").read_text().strip()
    assert len(drawn) == 24
    code, out, err = called("init")
    assert code == 0
    assert "there   ada-password" in out
    assert drawn not in out + err
    assert (folder / "secrets/ada-password").read_text().strip() == drawn


@pytest.mark.security
def test_set_takes_a_value_from_standard_input_alone_and_never_shows_it(called: Called, folder: Path) -> None:
    code, out, err = called("set", "smtp-password", given=f"{CANARY}\n".encode())
    assert code == 0
    assert (folder / "secrets/smtp-password").read_text() == f"{CANARY}\n"
    assert stat.S_IMODE((folder / "secrets/smtp-password").stat().st_mode) == 0o600
    assert CANARY not in out + err
    code, out, err = called("set", "smtp-password", CANARY)
    assert code == 2
    assert "secret-on-command-line" in err
    assert CANARY not in out + err
    code, out, err = called("set", CANARY)
    assert (code, CANARY in out + err) == (2, False)


@pytest.mark.parametrize("given", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"x" * 5000, b"\x1b[31mred\n"])
def test_set_refuses_what_is_not_one_line_of_text(called: Called, folder: Path, given: bytes) -> None:
    code, _, err = called("set", "smtp-password", given=given)
    assert code == 2
    assert "do:    observability secrets set smtp-password" in err
    assert not (folder / "secrets/smtp-password").exists()


def test_set_refuses_a_weak_password_of_a_login_of_ours(called: Called, folder: Path) -> None:
    code, out, err = called("set", "ada-password", given=b"ada-password-1\n")
    assert code == 2
    assert "words that guessing begins with" in err
    assert "ada-password-1" not in out + err
    assert not (folder / "secrets/ada-password").exists()


def test_list_tells_age_place_and_users_and_no_value(called: Called, folder: Path) -> None:
    called("init")
    store = FileSecrets(folder / "secrets")
    store.create("left-over")
    store.gate_login()
    os.utime(folder / "secrets/ada-password", (0, 0))
    shown = {item["name"]: item for item in called.document("list")["secrets"]}
    assert set(shown) == {"ada-password", "left-over", "smtp-password"}
    assert shown["ada-password"]["changed"] == "1970-01-01T00:00:00Z"
    assert shown["ada-password"]["uses"] == [{"setting": "front_door.users[0].password", "node": "mon-1"}]
    assert shown["smtp-password"]["exists"] is False
    assert shown["left-over"]["uses"] == []
    _, out, _ = called("list")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "missing" in rows["smtp-password"]
    assert "alertmanager.smtp.password" in rows["smtp-password"]
    for file in ("ada-password", "left-over"):
        assert (folder / "secrets" / file).read_text().strip() not in out


def test_check_finds_what_is_missing_weak_exposed_and_unused(called: Called, folder: Path) -> None:
    store = FileSecrets(folder / "secrets")
    store.create("left-over")
    (folder / "secrets/ada-password").write_text("ada-password-1\n")
    (folder / "secrets/ada-password").chmod(0o600)
    code, out, _ = called("check")
    assert code == 1
    assert "ada-password: is little more than words" in out
    assert "smtp-password: is needed by alertmanager.smtp.password, and does not exist" in out
    assert "left-over: is used by no setting" in out
    (folder / "secrets/left-over").unlink()
    store.put("smtp-password", store.create("ada-strong"))
    (folder / "secrets/ada-strong").rename(folder / "secrets/ada-password")
    assert called("check")[0] == 0
    (folder / "secrets/smtp-password").chmod(0o644)
    found = called.document("check")
    assert not found["sound"]
    assert {item["name"] for item in found["findings"]} == {"", "smtp-password"}


def test_a_secret_that_only_an_environment_uses_is_not_unused(called: Called, folder: Path) -> None:
    store = FileSecrets(folder / "secrets")
    for name in ("ada-password", "smtp-password", "other-password"):
        store.create(name)
    (folder / "environments").mkdir()
    (folder / "environments/staging.yaml").write_text(
        "front_door: {users: [{name: bob, password: secret:other-password}]}\n", encoding="utf-8"
    )
    assert called("check")[0] == 0


def test_the_environment_is_read_only_and_says_what_to_do(
    called: Called, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "global.yaml").write_text(f"{BASE}secrets: {{provider: environment}}\n", encoding="utf-8")
    monkeypatch.setenv("OBSERVABILITY_SECRET_SMTP_PASSWORD", CANARY)
    shown = {item["name"]: item for item in called.document("list")["secrets"]}
    assert shown["smtp-password"]["place"] == "$OBSERVABILITY_SECRET_SMTP_PASSWORD"
    assert shown["smtp-password"]["exists"] is True
    for words in (("set", "smtp-password"), ("init",)):
        code, out, err = called(*words, given=b"another value\n")
        assert code == 2
        assert "change it where OBSERVABILITY_SECRET_" in err
        assert CANARY not in out + err


def test_a_credential_is_set_on_the_server(called: Called, folder: Path) -> None:
    (folder / "global.yaml").write_text(
        f"{BASE}secrets: {{credentials: {{smtp-password: encrypted}}}}\n", encoding="utf-8"
    )
    code, _, err = called("set", "smtp-password", given=b"a value\n")
    assert code == 2
    assert "systemd-creds encrypt --name=smtp-password - /etc/credstore.encrypted/smtp-password" in err
    shown = {item["name"]: item for item in called.document("list")["secrets"]}
    assert shown["smtp-password"]["provider"] == "systemd (encrypted)"
    called("init")
    assert called("check")[0] == 0


def test_an_encrypted_file_is_begun_with_an_identity_and_holds_what_is_set(called: Called, folder: Path) -> None:
    (folder / "global.yaml").write_text(f"{BASE}secrets: {{provider: age}}\n", encoding="utf-8")
    begun = called.document("init")
    assert begun["begun"].startswith("drew an identity, public key age1")
    assert begun["drawn"] == ["ada-password"]
    code, out, _ = called("set", "smtp-password", given=f"{CANARY}\n".encode())
    assert code == 0
    assert str(folder / "secrets.age") in out
    assert CANARY not in (folder / "secrets.age").read_text()
    assert called("check")[0] == 0
    assert sorted(path.name for path in (folder / "secrets").iterdir() if path.is_file()) == ["age-identity"]


def test_before_anything_is_deployed_a_new_value_holds_at_once(called: Called, folder: Path) -> None:
    called("init")
    called("set", "smtp-password", given=b"a value of others\n")
    root = ("--root", str(folder.parent / "root"))
    before = (folder / "secrets/ada-password").read_text()
    code, out, _ = called("rotate", "ada-password", *root)
    assert (code, "ada-password: the new value is in force" in out) == (0, True)
    drawn = (folder / "secrets/ada-password").read_text()
    assert drawn != before
    assert drawn.strip() not in out
    assert called.document("rotate", "--all", *root)["rotated"] == ["ada-password"]
    assert called.document("rotate", "smtp-password", "--set", *root, given=b"another\n")["rotated"] == [
        "smtp-password"
    ]
    assert (folder / "secrets/smtp-password").read_text() == "another\n"
    assert not (folder / "secrets/.kept/rotation").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Give names of secrets, or --all"),
        (("ada-password", "--all"), "Give names of secrets, or --all"),
        (("--all", "--set"), "with --set exactly one name"),
        (("smtp-password",), "is given by somebody else"),
        (("ada-pasword",), "Did you mean ada-password?"),
        (("ada-password", "--set"), "words that guessing begins with"),
    ],
)
def test_what_cannot_be_rotated_is_refused_and_nothing_changes(
    called: Called, folder: Path, words: tuple[str, ...], says: str
) -> None:
    called("init")
    called("set", "smtp-password", given=b"a value of others\n")
    before = {path.name: path.read_bytes() for path in (folder / "secrets").glob("*-password")}
    code, out, err = called("rotate", *words, "--root", str(folder.parent / "root"), given=b"ada-password-1\n")
    assert (code, says in err) == (2, True), err
    assert "ada-password-1" not in out + err
    assert {path.name: path.read_bytes() for path in (folder / "secrets").glob("*-password")} == before


def test_what_was_cut_off_is_told_until_it_is_settled(called: Called, folder: Path) -> None:
    called("init")
    store = FileSecrets(folder / "secrets")
    store.put("smtp-password", Secret("a value of others"))
    begin(store, {"ada-password": Secret(CANARY)})
    code, out, err = called("check")
    assert (code, "an interrupted rotation left" in out) == (1, True)
    assert CANARY not in out + err
    code, _, err = called("set", "ada-password", given=b"N7kqTz4wRm2XcV9p\n")
    assert (code, "rotation-unsettled" in err) == (2, True)
    _, out, err = called("rotate", "ada-password", "--root", str(folder.parent / "root"))
    assert "note: an interrupted rotation of ada-password is settled: the old value holds" in err
    assert called("check")[0] == 0


def test_a_rotation_is_settled_for_the_environment_that_it_was_for(called: Called, folder: Path) -> None:
    called("init")
    FileSecrets(folder / "secrets").put("smtp-password", Secret("a value of others"))
    (folder / "environments").mkdir()
    (folder / "environments/staging.yaml").write_text("secrets: {provider: age}\n", encoding="utf-8")
    called("init", "--environment", "staging")
    sealed = (folder / "secrets.age").read_bytes()
    store = FileSecrets(folder / "secrets")
    rotation = begin(store, {"ada-password": Secret(CANARY)}, "staging")
    store.keep("rotation", json.dumps({**_note(store), "proven": True}).encode())
    assert rotation.environment == "staging"
    called("rotate", "ada-password", "--root", str(folder.parent / "root"))
    assert (folder / "secrets.age").read_bytes() != sealed
    opened = open_secrets(folder, Secrets(provider=Provider.AGE), {})
    assert opened.need("ada-password") == Secret(CANARY)


def _note(store: FileSecrets) -> dict[str, Any]:
    note: dict[str, Any] = json.loads(store.kept("rotation") or b"{}")
    return note


def test_what_a_program_has_encrypted_its_data_with_is_never_rotated(called: Called, folder: Path) -> None:
    (folder / "global.yaml").write_text(f"{BASE}dashboards: {{engine: grafana}}\n", encoding="utf-8")
    called("init")
    called("set", "smtp-password", given=b"a value of others\n")
    key = (folder / "secrets/grafana-secret-key").read_text()
    root = ("--root", str(folder.parent / "root"))
    assert called.document("rotate", "--all", *root)["rotated"] == ["ada-password"]
    code, _, err = called("rotate", "grafana-secret-key", *root)
    assert (code, "Grafana has encrypted what it keeps with it" in err) == (2, True)
    assert (folder / "secrets/grafana-secret-key").read_text() == key
