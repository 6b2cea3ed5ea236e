"""The pipeline from configuration to a monitored host's generation, with real secrets and real authorities."""

from __future__ import annotations

from pathlib import Path

import pytest

from obstack.edges.certificates import InternalAuthority
from obstack.edges.secrets import FileSecrets
from obstack.errors import UsageError
from obstack.operations.desired import Desired, Provision, build_host_desired
from rendering.hosts import fleet_site, host_artifacts, modules

NOW = 1_800_000_000.0
DAY_S = 86400.0


class At:
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    made = FileSecrets(tmp_path / "secrets")
    made.create("database-password")
    return made


def build(secrets: FileSecrets, host: str, now: float = NOW) -> Desired:
    site = fleet_site()
    return build_host_desired(
        site,
        host,
        modules(),
        Provision(host_artifacts(), {}),
        secrets=secrets,
        authority=InternalAuthority(secrets, site.name),
        clock=At(now),
    )


def test_a_second_run_gives_the_same_generation_until_certificates_are_due(secrets: FileSecrets) -> None:
    first = build(secrets, "web-1")
    assert (first.manifest.node, first.manifest.role) == ("web-1", "monitored-host")
    assert build(secrets, "web-1", NOW + DAY_S).manifest == first.manifest
    renewed = build(secrets, "web-1", NOW + 61 * DAY_S)
    assert renewed.manifest.identity != first.manifest.identity
    unlike = {a.path for a, b in zip(first.manifest.files, renewed.manifest.files, strict=True) if a != b}
    assert unlike
    assert all("/tls/" in path or path.endswith(".pem") or "nginx" in path for path in unlike)


def test_every_file_of_the_manifest_has_its_content(secrets: FileSecrets) -> None:
    for host in ("web-1", "db-1"):
        desired = build(secrets, host)
        assert {entry.digest for entry in desired.manifest.files} | {desired.manifest.key} == set(
            desired.contents.blobs
        )


def test_only_the_secrets_that_its_modules_name_reach_a_host(secrets: FileSecrets) -> None:
    password = secrets.need("database-password").reveal().encode()
    assert any(password in blob for blob in build(secrets, "db-1").contents.blobs.values())
    assert not any(password in blob for blob in build(secrets, "web-1").contents.blobs.values())


def test_a_missing_secret_is_named(secrets: FileSecrets, tmp_path: Path) -> None:
    (tmp_path / "secrets/database-password").unlink()
    with pytest.raises(UsageError, match="database-password"):
        build(secrets, "db-1")
