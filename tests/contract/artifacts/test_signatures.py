"""Debian archives that are not what their key signed: a real apt judges real repositories, and every one is refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.artifacts.conftest import Silent
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import NODE_EXPORTER
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.packages import DebianPackages
from obstack.errors import ChangeFailed
from obstack.model.components import ArtifactChoice

pytestmark = [pytest.mark.contract, pytest.mark.security]

PACKAGE = "prometheus-node-exporter"
KEY = "archive@example.org"
VERSION = "9.9-1"
PERMISSIONS = ("Insecure", "Weak", "DowngradeToInsecure")
"""By which apt can be told to take what is not signed."""


@dataclass
class Repository:
    """An archive of one package, signed by a key of its own, and a machine that trusts that key."""

    folder: Path
    suite: str

    @property
    def release(self) -> Path:
        """The folder of the suite's signed files."""
        return self.folder / "archive/dists" / self.suite

    @property
    def packages(self) -> Path:
        """The index of packages."""
        return self.release / f"main/binary-{own_architecture()}/Packages"

    @property
    def package(self) -> Path:
        """The package itself."""
        return self.folder / f"archive/pool/main/{PACKAGE}_{VERSION}_{own_architecture()}.deb"

    def gpg(self, *arguments: str) -> None:
        """Run gpg with keys of the test's own."""
        home = self.folder / "keys"
        home.mkdir(mode=0o700, exist_ok=True)
        words = ["gpg", "--batch", "--quiet", "--homedir", str(home), "--pinentry-mode=loopback", "--passphrase="]
        subprocess.run([*words, *arguments], check=True, capture_output=True)

    def build(self) -> None:
        """Make the package, its index and the machine's sources; sign."""
        tree = self.folder / "tree"
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "usr/bin" / PACKAGE).write_text("#!/bin/sh\n")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(
            f"Package: {PACKAGE}\nVersion: {VERSION}\nArchitecture: {own_architecture()}\n"
            "Maintainer: nobody <nobody@example.org>\nDescription: a test\n"
        )
        self.package.parent.mkdir(parents=True)
        words = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(self.package)]
        subprocess.run(words, check=True, capture_output=True)
        self.gpg("--quick-generate-key", KEY, "rsa3072", "sign", "never")
        self.gpg("--output", str(self.folder / "trusted.gpg"), "--export", KEY)
        self.index()
        self.sign()

    def index(self) -> None:
        """Write the index of the package as it is now."""
        content = self.package.read_bytes()
        self.packages.parent.mkdir(parents=True, exist_ok=True)
        self.packages.write_text(
            f"Package: {PACKAGE}\nVersion: {VERSION}\nArchitecture: {own_architecture()}\nSection: net\n"
            f"Filename: {self.package.relative_to(self.folder / 'archive')}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\nDescription: a test\n"
        )

    def sign(self) -> None:
        """Write and sign what says which index is the archive's."""
        content = self.packages.read_bytes()
        name = self.packages.relative_to(self.release)
        (self.release / "Release").write_text(
            f"Origin: Test\nSuite: {self.suite}\nCodename: {self.suite}\nDate: Sat, 01 Nov 2025 00:00:00 UTC\n"
            f"Architectures: {own_architecture()}\nComponents: main\n"
            f"SHA256:\n {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n"
        )
        signed = self.release / "InRelease"
        signed.unlink(missing_ok=True)
        self.gpg("--local-user", KEY, "--output", str(signed), "--clearsign", str(self.release / "Release"))

    def trust(self, more: str) -> None:
        """Write the machine's sources, with more lines in them."""
        etc = self.folder / "etc/sources.list.d"
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "test.sources").write_text(
            f"Types: deb\nURIs: file://{self.folder}/archive\nSuites: {self.suite}\nComponents: main\n"
            f"Signed-By: {self.folder}/trusted.gpg\n{more}"
        )

    def resolve(self, reporter: Silent) -> Artifact:
        """Take the package as any is taken."""
        cache = ArtifactCache(self.folder / "cache")
        debian = DebianPackages(self.folder / "apt", cache, reporter, max_age_s=0.0, etc=self.folder / "etc")
        return debian.resolve(NODE_EXPORTER, debian.settle(ArtifactChoice()), own_architecture())


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The archive as its owner made it; to draw its key takes the longest."""
    folder = tmp_path_factory.mktemp("original")
    suite = DebianPackages(folder / "apt", ArtifactCache(folder / "cache"), Silent()).settle(ArtifactChoice()).suite
    assert suite is not None
    made = Repository(folder, suite)
    made.build()
    return made


@pytest.fixture
def repository(original: Repository, tmp_path: Path) -> Repository:
    """A copy of it for one test, and a machine that trusts it."""
    copy = Repository(tmp_path / "copy", original.suite)
    shutil.copytree(original.folder, copy.folder, ignore=shutil.ignore_patterns("S.*", "*.lock", ".#*"))
    copy.trust("")
    return copy


def refused(repository: Repository, reporter: Silent) -> ChangeFailed:
    with pytest.raises(ChangeFailed) as caught:
        repository.resolve(reporter)
    assert not list((repository.folder / "cache").rglob("sha256/*"))
    return caught.value


def test_what_is_signed_is_taken(repository: Repository, reporter: Silent) -> None:
    assert repository.resolve(reporter).version == VERSION


def test_a_changed_package_is_refused(repository: Repository, reporter: Silent) -> None:
    content = bytearray(repository.package.read_bytes())
    content[-1] ^= 1
    repository.package.write_bytes(content)
    assert refused(repository, reporter).code == "archive-not-authentic"


def test_a_changed_index_is_refused(repository: Repository, reporter: Silent) -> None:
    text = repository.packages.read_text()
    repository.packages.write_text(text.replace(VERSION, "9.9-2"))
    assert refused(repository, reporter).code == "archive-not-authentic"


def test_a_changed_signed_file_is_refused(repository: Repository, reporter: Silent) -> None:
    signed = repository.release / "InRelease"
    signed.write_text(signed.read_text().replace("Origin: Test", "Origin: Else"))
    assert refused(repository, reporter).code == "archive-not-authentic"


@pytest.mark.parametrize("more", ["", "Trusted: yes\n", "Allow-Insecure: yes\n"])
def test_an_unsigned_archive_is_refused_whatever_the_machine_s_sources_say(
    repository: Repository, reporter: Silent, more: str
) -> None:
    (repository.release / "InRelease").unlink()
    repository.trust(more)
    assert refused(repository, reporter).code == "archive-not-authentic"


def test_an_unsigned_archive_is_refused_whatever_apt_s_own_settings_say(
    repository: Repository, reporter: Silent
) -> None:
    (repository.release / "InRelease").unlink()
    settings = repository.folder / "permissive.conf"
    names = ("APT::Get::AllowUnauthenticated", *(f"Acquire::Allow{word}Repositories" for word in PERMISSIONS))
    settings.write_text("".join(f'{name} "true";\n' for name in names))
    os.environ["APT_CONFIG"] = str(settings)
    try:
        assert refused(repository, reporter).code == "archive-not-authentic"
    finally:
        del os.environ["APT_CONFIG"]


def test_another_key_is_refused(repository: Repository, reporter: Silent) -> None:
    repository.gpg("--quick-generate-key", "stranger@example.org", "rsa3072", "sign", "never")
    signed = repository.release / "InRelease"
    signed.unlink()
    release = str(repository.release / "Release")
    repository.gpg("--local-user", "stranger@example.org", "--output", str(signed), "--clearsign", release)
    assert refused(repository, reporter).code == "suite-not-trusted"
