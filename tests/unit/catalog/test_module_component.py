"""A module's artifact means the same as a component of the catalogue."""

from obstack.catalog.components import Component, Package
from obstack.catalog.module_component import module_component
from obstack.catalog.releases import Release
from obstack.model.module import ModuleArtifact


def test_every_part_of_a_modules_artifact_is_in_its_component() -> None:
    artifact = ModuleArtifact.model_validate(
        {
            "name": "mysqld-exporter",
            "packages": [
                {"name": "prometheus-mysqld-exporter", "only": ["usr/bin/prometheus-mysqld-exporter"]},
                {"name": "more", "only": ["usr/share/more"], "optional": True, "followed": False},
            ],
            "programs": {"mysqld_exporter": ["usr/bin/prometheus-mysqld-exporter"]},
            "release": {
                "url": "https://example.org/{version}/{architecture}.tar.gz",
                "default": "0.18.0",
                "digests": {"0.18.0": {"amd64": "ab" * 32}},
                "programs": {"mysqld_exporter": "mysqld_exporter"},
            },
            "source_suite": "trixie",
        }
    )
    assert module_component(artifact) == Component(
        name="mysqld-exporter",
        packages=(
            Package("prometheus-mysqld-exporter", ("usr/bin/prometheus-mysqld-exporter",)),
            Package("more", ("usr/share/more",), optional=True, followed=False),
        ),
        programs={"mysqld_exporter": ("usr/bin/prometheus-mysqld-exporter",)},
        release=Release(
            url="https://example.org/{version}/{architecture}.tar.gz",
            kind="tar",
            strip=1,
            default="0.18.0",
            digests={"0.18.0": {"amd64": "ab" * 32}},
            binaries={"mysqld_exporter": "mysqld_exporter"},
        ),
        suite="trixie",
    )
