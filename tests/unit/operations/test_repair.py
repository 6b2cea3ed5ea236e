"""What `preflight --fix` does, and what it leaves alone."""

import json
import stat
from pathlib import Path

from obstack.edges.configfile import FileConfigurations
from obstack.edges.secrets import FileSecrets
from obstack.operations.preflight import repair


def configuration(folder: Path) -> FileConfigurations:
    settings = {
        "version": 1,
        "domain": "observability.example.org",
        "front_door": {"machines": [{"name": "edge-1", "password": "secret:edge-1", "may": ["push-alerts"]}]},
        "alertmanager": {
            "smtp": {
                "host": "mail.example.org",
                "sender": "alerts@example.org",
                "username": "alerts",
                "password": "secret:smtp-password",
            }
        },
    }
    (folder / "global.yaml").write_text(json.dumps(settings))
    return FileConfigurations(folder)


def test_it_draws_the_passwords_of_our_own_users_only(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "secrets")
    done = repair(configuration(tmp_path), lambda _: secrets, environment=None)
    assert done == tuple(f"drew a password into {tmp_path}/secrets/{name}" for name in ("admin-password", "edge-1"))
    assert len(secrets.need("admin-password").reveal()) == 24
    assert len(secrets.need("edge-1").reveal()) == 40
    assert secrets.get("smtp-password") is None


def test_it_closes_secrets_to_others_and_keeps_their_content(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "secrets")
    before = secrets.create("admin-password").reveal()
    secrets.create("edge-1", 40)
    (tmp_path / "secrets").chmod(0o755)
    (tmp_path / "secrets" / "admin-password").chmod(0o644)
    done = repair(configuration(tmp_path), lambda _: secrets, environment=None)
    assert len(done) == 2
    assert stat.S_IMODE((tmp_path / "secrets" / "admin-password").stat().st_mode) == 0o600
    assert secrets.need("admin-password").reveal() == before


def test_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "secrets")
    repair(configuration(tmp_path), lambda _: secrets, environment=None)
    assert repair(configuration(tmp_path), lambda _: secrets, environment=None) == ()


def test_without_a_valid_configuration_nothing_is_drawn(tmp_path: Path) -> None:
    assert repair(FileConfigurations(tmp_path), lambda _: FileSecrets(tmp_path / "secrets"), environment=None) == ()
    assert not (tmp_path / "secrets").exists()
