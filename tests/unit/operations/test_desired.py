"""The pipeline from configuration to generation, with real secrets and a real authority."""

from pathlib import Path

import pytest

from obstack.edges.certificates import InternalAuthority
from obstack.edges.secrets import FileSecrets
from obstack.errors import UsageError
from obstack.model.site import Site
from obstack.operations.desired import Desired, Provision, build_desired
from rendering.settled import SERVER, artifacts, small_site

NOW = 1_800_000_000.0


class At:
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


def build(folder: Path, site: Site, now: float = NOW) -> Desired:
    secrets = FileSecrets(folder)
    return build_desired(
        site,
        SERVER,
        Provision(artifacts("trixie"), {}),
        secrets=secrets,
        authority=InternalAuthority(secrets, site.name),
        clock=At(now),
    )


def test_a_second_run_gives_the_same_generation(tmp_path: Path) -> None:
    FileSecrets(tmp_path / "secrets").create("admin-password")
    first = build(tmp_path / "secrets", small_site())
    second = build(tmp_path / "secrets", small_site(), NOW + 86400)
    assert first.manifest == second.manifest
    assert first.contents.blobs == second.contents.blobs


def test_every_file_of_the_manifest_has_its_content(tmp_path: Path) -> None:
    FileSecrets(tmp_path / "secrets").create("admin-password")
    desired = build(tmp_path / "secrets", small_site())
    assert {entry.digest for entry in desired.manifest.files} | {desired.manifest.key} == set(desired.contents.blobs)


def test_another_password_is_another_generation(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    FileSecrets(secrets).create("admin-password")
    first = build(secrets, small_site())
    (secrets / "admin-password").write_text("another long password\n")
    second = build(secrets, small_site())
    assert first.manifest.identity != second.manifest.identity


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="admin-password"):
        build(tmp_path / "secrets", small_site())
