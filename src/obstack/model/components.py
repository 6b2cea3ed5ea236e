"""Configuration of where each component's binaries come from."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from obstack.model.base import Section
from obstack.model.scalars import Suite, Text, Version


class Source(StrEnum):
    """Kinds of artifact source."""

    DEBIAN = "debian"
    RELEASE = "release"
    MIRROR = "mirror"


class ArtifactChoice(Section):
    """Where one component comes from and at which version."""

    source: Source = Field(default=Source.DEBIAN, description="debian, release or mirror.", examples=["debian"])
    suite: Suite | None = Field(
        default=None,
        description="Debian suite; absent means the machine's own.",
        examples=["trixie"],
    )
    version: Version | None = Field(
        default=None,
        description="Version wanted; absent means the newest of the suite, or the pinned release.",
        examples=["3.13.4"],
    )


class Artifacts(Section):
    """Sources of artifacts."""

    mirror: Text | None = Field(
        default=None,
        description="Folder or URL of a mirror laid out by digest, tried before any other place.",
        examples=["/srv/observability-mirror"],
    )
    default: ArtifactChoice = Field(
        default=ArtifactChoice(), description="Choice for components not named below.", examples=[{"source": "debian"}]
    )
    components: dict[str, ArtifactChoice] = Field(
        default_factory=dict,
        description="Choice by component name.",
        examples=[{"prometheus": {"source": "debian", "suite": "trixie"}}],
    )

    def choice(self, component: str) -> ArtifactChoice:
        """Given a component's name, return its choice."""
        return self.components.get(component, self.default)
