import os
import stat
import threading
from pathlib import Path

import bcrypt
import pytest

from obstack.edges.secrets import GATE_LOGIN, FileSecrets
from obstack.errors import ChangeFailed, UsageError
from obstack.model.site import Site

SITE = Site(domain="mon.test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config" / "secrets"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_that_is_not_there_is_none_and_nothing_is_made(folder: Path) -> None:
    assert FileSecrets(folder).get("admin-password") is None
    assert not folder.exists()


def test_a_created_secret_is_strong_private_and_stays(folder: Path) -> None:
    store = FileSecrets(folder)
    secret = store.create("admin-password")
    assert len(secret.reveal()) == 24
    assert secret.reveal() != FileSecrets(folder.parent / "other").create("admin-password").reveal()
    assert FileSecrets(folder).create("admin-password") == secret
    assert mode(folder) == 0o700
    assert mode(folder / "admin-password") == 0o600
    assert [file.name for file in folder.iterdir()] == ["admin-password"]


def test_a_secret_does_not_show_itself(folder: Path) -> None:
    secret = FileSecrets(folder).create("a")
    assert secret.reveal() not in f"{secret} {secret!r}"


def test_a_newline_at_the_end_is_not_part_of_the_secret(folder: Path) -> None:
    FileSecrets(folder).create("a")
    (folder / "a").write_text("correct battery\r\n")
    secret = FileSecrets(folder).get("a")
    assert secret is not None
    assert secret.reveal() == "correct battery"


@pytest.mark.security
@pytest.mark.parametrize("wrong", [0o640, 0o604, 0o620, 0o777])
def test_a_file_that_others_may_use_is_refused_with_the_command_to_type(folder: Path, wrong: int) -> None:
    FileSecrets(folder).create("a")
    (folder / "a").chmod(wrong)
    with pytest.raises(UsageError) as caught:
        FileSecrets(folder).get("a")
    assert caught.value.code == "secret-exposed"
    assert caught.value.do.startswith(f"chmod 600 {folder / 'a'}")


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    FileSecrets(folder).create("a")
    folder.chmod(0o755)
    with pytest.raises(UsageError) as caught:
        FileSecrets(folder).get("a")
    assert caught.value.do.startswith(f"chmod 700 {folder}")


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"tab\there", b"x" * 5000])
def test_what_cannot_be_one_line_of_text_is_refused(folder: Path, content: bytes) -> None:
    FileSecrets(folder).create("a")
    (folder / "a").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        FileSecrets(folder).get("a")
    assert caught.value.code == "secret-unusable"


def test_a_link_and_a_pipe_are_refused(folder: Path) -> None:
    FileSecrets(folder).create("a")
    (folder / "link").symlink_to(folder / "a")
    os.mkfifo(folder / "pipe", 0o600)
    for name in ("link", "pipe"):
        with pytest.raises(UsageError):
            FileSecrets(folder).get(name)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "", "A", ".kept", "a/b", "a\n"])
def test_a_name_cannot_leave_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a secret"):
        FileSecrets(folder).get(name)


def test_two_runs_at_once_end_with_the_same_secret(folder: Path) -> None:
    found: list[str] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        found.append(FileSecrets(folder).create("a").reveal())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_login_keeps_its_hash_while_its_password_stays(folder: Path) -> None:
    store = FileSecrets(folder)
    password = store.create("admin-password")
    (login,) = store.logins(SITE)
    assert login.name == "admin"
    assert bcrypt.checkpw(password.reveal().encode(), login.hash.encode())
    assert FileSecrets(folder).logins(SITE) == (login,)
    (folder / "admin-password").write_text("another good password\n")
    (changed,) = FileSecrets(folder).logins(SITE)
    assert changed.hash != login.hash
    assert bcrypt.checkpw(b"another good password", changed.hash.encode())


def test_the_hash_of_a_machine_is_cheap_and_that_of_a_person_is_not(folder: Path) -> None:
    machine = {"name": "edge-1", "password": "secret:edge-1", "may": ["write-metrics"]}
    site = Site.model_validate({"domain": "observability.example.org", "front_door": {"machines": [machine]}})
    store = FileSecrets(folder)
    store.create("admin-password")
    store.create("edge-1", 40)
    person, program = store.logins(site)
    assert person.hash.split("$")[2] == "10"
    assert (program.name, program.hash.split("$")[2]) == ("edge-1", "04")


def test_a_hash_from_another_folder_is_not_taken(folder: Path, tmp_path: Path) -> None:
    store = FileSecrets(folder)
    store.create("admin-password")
    (login,) = store.logins(SITE)
    other = FileSecrets(tmp_path / "other")
    other.keep("admin-hash", store.kept("admin-hash") or b"")
    (tmp_path / "other" / "admin-password").write_bytes((folder / "admin-password").read_bytes())
    (tmp_path / "other" / "admin-password").chmod(0o600)
    assert other.logins(SITE)[0].hash != login.hash


def test_a_hash_that_cannot_be_read_is_made_anew(folder: Path) -> None:
    store = FileSecrets(folder)
    store.create("admin-password")
    (login,) = store.logins(SITE)
    store.keep("admin-hash", b"{broken")
    assert store.logins(SITE)[0].hash != login.hash


def test_the_gate_login_is_made_when_it_is_missing(folder: Path) -> None:
    login = FileSecrets(folder).gate_login()
    assert login.name == GATE_LOGIN
    assert len(login.password.reveal()) == 40
    assert FileSecrets(folder).gate_login() == login
    assert all(mode(file) == (0o700 if file.is_dir() else 0o600) for file in folder.rglob("*"))


def test_a_missing_password_says_how_to_make_it(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        FileSecrets(folder).logins(SITE)
    assert caught.value.code == "secret-missing"
    assert caught.value.where == str(folder / "admin-password")
    assert "observability secrets set admin-password" in caught.value.do


def test_a_password_that_bcrypt_would_cut_is_refused(folder: Path) -> None:
    store = FileSecrets(folder)
    store.create("admin-password", 80)
    with pytest.raises(UsageError, match="72 bytes"):
        store.logins(SITE)


def test_a_refusal_of_the_file_system_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((ChangeFailed, UsageError)) as caught:
        FileSecrets(tmp_path / "file" / "secrets").create("a")
    assert caught.value.do


def test_the_gates_drawn_password_has_a_hash_that_costs_next_to_nothing(tmp_path: Path) -> None:
    login = FileSecrets(tmp_path / "secrets").gate_login()
    assert len(login.password.reveal()) == 40
    assert login.hash.startswith("$2b$04$")
