"""`observability cert` over a real configuration, as far as no machine is touched."""

import json
import time
from pathlib import Path

import pytest

from obstack.cli.main import run
from obstack.edges.certificates import InternalAuthority
from obstack.edges.secrets import FileSecrets

DAY = 86400.0


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A configuration whose front door has a certificate with 9 of 90 days left."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "global.yaml").write_text("environment: testing\ndomain: observability.example.org\n")
    secrets = FileSecrets(folder / "secrets")
    secrets.create("admin-password")
    InternalAuthority(secrets, "observability").certificate(
        "front-door", ("observability.example.org",), time.time() - 81 * DAY
    )
    return folder


def test_status_tells_what_is_overdue_and_exits_with_one(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cert", "status", "--json", "--config", str(configuration)]) == 1
    certificates = json.loads(capsys.readouterr().out)["certificates"]
    shown = {certificate["name"]: certificate for certificate in certificates}
    assert shown["front-door"]["standing"] == "overdue"
    assert shown["front-door"]["due"] is True
    assert shown["front-door"]["share_left"] == pytest.approx(0.1, abs=0.001)
    assert shown["authority"]["standing"] == "valid"
    assert run(["cert", "status", "--config", str(configuration)]) == 1
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["STANDING", "NAME", "NODE", "PURPOSE", "ISSUER", "VALID", "UNTIL", "LEFT", "WHERE"]
    assert any(line.startswith("overdue") and "/etc/nginx/tls/certificate.pem" in line for line in table)


@pytest.mark.parametrize("words", [[], ["--all", "front-door"], ["front-dor"]])
def test_renew_is_told_what_to_renew(configuration: Path, words: list[str]) -> None:
    before = FileSecrets(configuration / "secrets").kept("front-door")
    assert run(["cert", "renew", *words, "--config", str(configuration)]) == 2
    assert FileSecrets(configuration / "secrets").kept("front-door") == before


def test_renew_does_nothing_when_nothing_is_due(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    InternalAuthority(FileSecrets(configuration / "secrets"), "observability").certificate(
        "front-door", ("observability.example.org",), time.time()
    )
    assert run(["cert", "renew", "--if-due", "--config", str(configuration)]) == 0
    assert capsys.readouterr().out == "no certificate is due\n"
