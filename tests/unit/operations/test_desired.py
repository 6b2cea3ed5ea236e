"""The pipeline from configuration to generation, with real secrets and a real authority."""

from pathlib import Path

import pytest

from obstack.edges.certificates import InternalAuthority
from obstack.edges.door_files import DoorFiles
from obstack.edges.secrets import FileSecrets
from obstack.errors import UsageError
from obstack.model.door_certificate import DoorCertificate
from obstack.model.site import Site
from obstack.operations.desired import Desired, Provision, build_desired
from rendering.hosts import fleet_site
from rendering.issuing import DOMAIN, issue
from rendering.settled import SERVER, artifacts, small_site

NOW = 1_800_000_000.0


class At:
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


def build(folder: Path, site: Site, now: float = NOW, doors: DoorFiles | None = None) -> Desired:
    secrets = FileSecrets(folder)
    return build_desired(
        site,
        SERVER,
        Provision(artifacts("trixie"), {}),
        secrets=secrets,
        authority=InternalAuthority(secrets, site.name),
        clock=At(now),
        doors=doors,
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


def contents(desired: Desired) -> dict[str, str]:
    """Return the text of each file that can be read as text."""
    return {
        entry.path: desired.contents.blobs[entry.digest].decode("utf-8", "replace") for entry in desired.manifest.files
    }


def test_hosts_are_shown_a_certificate_of_the_site_whatever_people_are_shown(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "secrets")
    secrets.create("admin-password")
    root = issue("Example Root", authority=True)
    leaf = issue(DOMAIN, root, names=(DOMAIN,))
    (tmp_path / "chain.pem").write_bytes(leaf.pem)
    (tmp_path / "key.pem").touch(0o600)
    (tmp_path / "key.pem").write_bytes(leaf.key_pem)
    (tmp_path / "root.pem").write_bytes(root.pem)
    certificate = {"mode": "provided", "chain": "chain.pem", "key": "key.pem", "authority": "root.pem"}
    site = fleet_site({"web-1": {"address": "192.0.2.10"}})
    door = site.front_door.model_copy(update={"certificate": DoorCertificate.model_validate(certificate)})
    files = DoorFiles(tmp_path, SERVER)
    found = contents(build(tmp_path / "secrets", site.model_copy(update={"front_door": door}), doors=files))
    own = secrets.kept("authority")
    assert own is not None
    assert found["etc/nginx/tls/certificate.pem"] == leaf.pem.decode()
    assert found["etc/nginx/authority.pem"] == root.pem.decode()
    assert found["etc/journal-receive/authority.pem"] in own.decode()
    assert secrets.kept("journal-receive") is not None
    assert found["etc/journal-receive/certificate.pem"].count("BEGIN CERTIFICATE") == 2


def test_a_certificate_of_others_is_for_a_server(tmp_path: Path) -> None:
    FileSecrets(tmp_path / "secrets").create("admin-password")
    certificate = DoorCertificate(mode="acme")
    site = small_site()
    door = site.front_door.model_copy(update={"certificate": certificate})
    with pytest.raises(UsageError, match="which is for a server"):
        build(tmp_path / "secrets", site.model_copy(update={"front_door": door}))
