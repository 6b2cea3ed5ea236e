"""Package URLs of parts, compared with those of the reference library."""

from __future__ import annotations

from dataclasses import replace

from packageurl import PackageURL

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.licences import Licence
from obstack.catalog.parts import debian_part, python_part, release_part, vouched_by

ENTRY = ArchiveEntry("thing.tar.gz", "ab" * 32, 10, "tar")
URL = "https://github.com/Prometheus/node_exporter/releases/download/v1.12.1/node_exporter-1.12.1.linux-amd64.tar.gz"
ARCHIVE = Archive(ENTRY, URL)
ARTIFACT = Artifact("node-exporter", "1.12.1", "release", None, "amd64", (ARCHIVE,), {})
KNOWN = Licence("MIT")


def test_a_debian_package_is_named_with_its_epoch_architecture_and_suite() -> None:
    part = debian_part("libcap2", "1:2.66-4+deb12u3+b1", "amd64", "bookworm", ARCHIVE, KNOWN)
    url = PackageURL("deb", "debian", "libcap2", "1:2.66-4+deb12u3+b1", {"arch": "amd64", "distro": "bookworm"})
    assert PackageURL.from_string(part.purl) == url
    assert part.digest == "ab" * 32


def test_a_package_of_ubuntu_is_ubuntu_s() -> None:
    part = debian_part("nginx", "1.24.0-2ubuntu7", "arm64", "noble", ARCHIVE, KNOWN)
    assert PackageURL.from_string(part.purl).namespace == "ubuntu"


def test_a_release_is_named_by_its_project_and_says_where_it_is_had_from() -> None:
    part = release_part(ARTIFACT, ARCHIVE, "Apache-2.0")
    url = PackageURL.from_string(part.purl)
    assert (url.type, url.namespace, url.name, url.version) == ("github", "prometheus", "node_exporter", "v1.12.1")
    assert (part.location, part.licence.expression) == (URL, "Apache-2.0")


def test_a_release_from_elsewhere_is_generic_and_an_unknown_licence_is_told() -> None:
    part = release_part(ARTIFACT, replace(ARCHIVE, location="https://example.org/a.tar.gz"), "")
    assert part.purl == "pkg:generic/node-exporter@1.12.1?arch=amd64"
    assert part.licence.note == "the catalogue names no licence"


def test_a_python_library_is_named_as_its_index_does() -> None:
    assert python_part("Ruamel.Yaml", "0.19.1", KNOWN).purl == "pkg:pypi/ruamel-yaml@0.19.1"


def test_what_vouches_for_an_artifact_is_never_more_than_it_is() -> None:
    assert "apt" in vouched_by(replace(ARTIFACT, source="debian"))
    assert "signs nothing" in vouched_by(ARTIFACT)
    assert "signs nothing" in vouched_by(replace(ARTIFACT, source="mirror"))
