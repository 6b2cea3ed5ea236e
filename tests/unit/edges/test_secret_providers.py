"""What keeps the values: the encrypted file with real identities of age, and the environment."""

from __future__ import annotations

import stat
import subprocess
import threading
from pathlib import Path

import pyrage
import pytest
from pyrage import x25519

from obstack.edges.secrets import SecretStore, open_secrets
from obstack.edges.secrets.age import AgeProvider
from obstack.edges.secrets.folder import PrivateFolder
from obstack.errors import UsageError
from obstack.model.secret import Secret
from obstack.model.secrets import Age, Provider, Secrets
from obstack.model.site import Site

CANARY = "N7kqTz4wRm2XcV9pLd3H"


def provider(folder: Path, *recipients: str) -> AgeProvider:
    made = AgeProvider(
        folder / "secrets.age", folder / "secrets/age-identity", recipients, PrivateFolder(folder / "secrets")
    )
    made.begin()
    return made


def opened(folder: Path, environment: dict[str, str], section: Secrets) -> SecretStore:
    return open_secrets(folder, section, environment)


@pytest.mark.security
def test_the_encrypted_file_shows_neither_names_nor_values_and_its_identity_is_private(tmp_path: Path) -> None:
    provider(tmp_path).put("smtp-password", Secret(CANARY))
    sealed = (tmp_path / "secrets.age").read_bytes()
    assert sealed.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----")
    assert CANARY.encode() not in sealed
    assert b"smtp" not in sealed
    assert stat.S_IMODE((tmp_path / "secrets/age-identity").stat().st_mode) == 0o600
    assert provider(tmp_path).get("smtp-password") == Secret(CANARY)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


def test_a_change_keeps_the_others_with_their_age(tmp_path: Path) -> None:
    first = provider(tmp_path)
    first.put("a", Secret("one"))
    before = first.changed("a")
    first.put("b", Secret("two"))
    again = provider(tmp_path)
    assert again.names() == ("a", "b")
    assert again.changed("a") == pytest.approx(before, abs=0.01)
    again.put("a", Secret("other"), replace=False)
    assert again.get("a") == Secret("one")
    assert again.remove("a") and not again.remove("a")
    assert provider(tmp_path).names() == ("b",)


def test_further_recipients_can_open_it_and_nobody_else(tmp_path: Path) -> None:
    colleague, stranger = x25519.Identity.generate(), x25519.Identity.generate()
    provider(tmp_path, str(colleague.to_public())).put("a", Secret(CANARY))
    sealed = (tmp_path / "secrets.age").read_bytes()
    assert CANARY.encode() in pyrage.decrypt(sealed, [colleague])
    (tmp_path / "secrets/age-identity").write_text(f"{stranger}\n")
    with pytest.raises(UsageError) as caught:
        provider(tmp_path).get("a")
    assert caught.value.code == "secrets-unreadable"
    assert str(stranger) not in f"{caught.value.what} {caught.value.where} {caught.value.do}"


def test_two_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    provider(tmp_path)
    writers = [
        threading.Thread(target=lambda name=name: provider(tmp_path).put(name, Secret(f"value of {name}")))
        for name in ("a", "b", "c", "d")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert provider(tmp_path).names() == ("a", "b", "c", "d")


@pytest.mark.parametrize("wrong", [0o640, 0o604, 0o644])
@pytest.mark.security
def test_an_identity_that_others_can_read_is_refused(tmp_path: Path, wrong: int) -> None:
    provider(tmp_path).put("a", Secret("one"))
    (tmp_path / "secrets/age-identity").chmod(wrong)
    with pytest.raises(UsageError) as caught:
        provider(tmp_path).get("a")
    assert caught.value.code == "secret-exposed"
    assert "chmod 600" in caught.value.do


def test_without_the_identity_nothing_is_drawn_over_what_somebody_else_sealed(tmp_path: Path) -> None:
    provider(tmp_path).put("a", Secret("one"))
    (tmp_path / "secrets/age-identity").unlink()
    with pytest.raises(UsageError) as caught:
        provider(tmp_path)
    assert caught.value.code == "identity-missing"
    assert not (tmp_path / "secrets/age-identity").exists()


@pytest.mark.parametrize("damage", [b"", b"no age file", b"-----BEGIN AGE ENCRYPTED FILE-----\n"])
def test_a_damaged_file_is_refused_and_never_overwritten(tmp_path: Path, damage: bytes) -> None:
    provider(tmp_path)
    (tmp_path / "secrets.age").write_bytes(damage)
    with pytest.raises(UsageError):
        provider(tmp_path).put("a", Secret("one"))
    assert (tmp_path / "secrets.age").read_bytes() == damage


def test_an_identity_in_git_is_found(tmp_path: Path) -> None:
    made = provider(tmp_path)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert made.findings() == ()
    subprocess.run(["git", "-C", str(tmp_path), "add", "--force", "secrets/age-identity"], check=True)
    (found,) = made.findings()
    assert "is in git" in found


def test_the_gates_login_and_hashes_stay_in_the_private_folder_whatever_keeps_the_secrets(tmp_path: Path) -> None:
    store = opened(tmp_path, {"OBSERVABILITY_SECRET_ADMIN_PASSWORD": CANARY}, Secrets(provider=Provider.ENVIRONMENT))
    (login,) = store.logins(Site(domain="mon.test"))
    assert login.password == Secret(CANARY)
    assert (
        opened(tmp_path, {"OBSERVABILITY_SECRET_ADMIN_PASSWORD": CANARY}, Secrets()).gate_login() == store.gate_login()
    )
    assert (tmp_path / "secrets/.kept/admin-hash").exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


def test_what_the_environment_lacks_cannot_be_drawn_into_it(tmp_path: Path) -> None:
    store = opened(tmp_path, {}, Secrets(provider=Provider.ENVIRONMENT))
    assert store.get("a") is None
    with pytest.raises(UsageError) as caught:
        store.create("a")
    assert caught.value.code == "secret-read-only"


def test_the_places_of_the_encrypted_file_and_its_identity_can_be_chosen(tmp_path: Path) -> None:
    away = tmp_path / "away"
    section = Secrets(provider=Provider.AGE, age=Age(file="vault.age", identity=str(away / "identity")))
    store = opened(tmp_path / "config", {}, section)
    (tmp_path / "config").mkdir()
    store.provider.begin()
    store.create("a")
    assert (tmp_path / "config/vault.age").is_file()
    assert (away / "identity").is_file()


def test_a_recipient_with_a_slip_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    slip = str(x25519.Identity.generate().to_public())[:-1]
    slip += "q" if not slip.endswith("q") else "p"
    with pytest.raises(UsageError, match="recipients is no public key"):
        provider(tmp_path, slip).put("a", Secret("one"))
    assert not (tmp_path / "secrets.age").exists()
