"""A site that has Grafana, and what its rendering needs beside it."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.render.materials import Materials
from rendering.settled import materials

GRAFANA_SECRETS: Final = {
    "grafana-admin-password": "the admin's",
    "grafana-secret-key": "the key's",
    "client": "the client's",
}


def grafana_site(**sections: Any) -> Site:
    """Return a site that has Grafana, with further sections."""
    base = {"domain": "observability.example.org", "dashboards": {"engine": "grafana"}}
    return Site.model_validate(base | sections)


def grafana_materials(version: str = "13.2.3", **changes: Any) -> Materials:
    """Return settled materials with Grafana of a version."""
    entry = ArchiveEntry("grafana.tar.gz", "e" * 64, 1000, "tar", strip=1)
    archive = Archive(entry, "https://dl.example.org/grafana.tar.gz")
    artifact = Artifact("grafana", version, "release", None, "amd64", (archive,), {"grafana": "bin/grafana"})
    known = materials()
    secrets = {name: Secret(value) for name, value in GRAFANA_SECRETS.items()}
    return dataclasses.replace(
        known,
        secrets={**known.secrets, **secrets},
        artifacts={**known.artifacts, "grafana": artifact},
        **changes,
    )
