"""The components: from which Debian packages or releases each comes, and where its programs are inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from obstack.catalog import releases
from obstack.catalog.releases import Release


@dataclass(frozen=True)
class Package:
    """A Debian package that belongs to a component.

    `only` are the paths wanted of it. `optional` packages exist in some suites only. Of a package whose dependencies
    are not `followed`, the programs wanted need nothing beyond what the other packages bring.
    """

    name: str
    only: tuple[str, ...]
    optional: bool = False
    followed: bool = True


@dataclass(frozen=True)
class Component:
    """One thing that can be deployed.

    `packages` are given in order; the first one carries the component's version. `programs` maps each program to the
    places where Debian's packages may have it, of which the first that exists is taken. `release` is None for what
    upstream publishes as source only. `suite` is where it is taken from whatever the machine's own suite is.
    """

    name: str
    packages: tuple[Package, ...]
    programs: dict[str, tuple[str, ...]]
    release: Release | None = None
    suite: str | None = None


PROMETHEUS: Final = Component(
    name="prometheus",
    packages=(
        Package("prometheus", ("usr/bin/prometheus", "usr/bin/promtool")),
        Package("promtool", ("usr/bin/promtool",), optional=True),  # a package of its own since Debian 13
    ),
    programs={"prometheus": ("usr/bin/prometheus",), "promtool": ("usr/bin/promtool",)},
    release=releases.PROMETHEUS,
)

ALERTMANAGER: Final = Component(
    name="alertmanager",
    packages=(
        Package(
            "prometheus-alertmanager",
            ("usr/bin/prometheus-alertmanager", "usr/bin/amtool", "usr/share/prometheus"),
        ),
    ),
    programs={"alertmanager": ("usr/bin/prometheus-alertmanager",), "amtool": ("usr/bin/amtool",)},
    release=releases.ALERTMANAGER,
)

NODE_EXPORTER: Final = Component(
    name="node-exporter",
    packages=(Package("prometheus-node-exporter", ("usr/bin/prometheus-node-exporter",)),),
    programs={"node_exporter": ("usr/bin/prometheus-node-exporter",)},
    release=releases.NODE_EXPORTER,
)

BLACKBOX_EXPORTER: Final = Component(
    name="blackbox-exporter",
    packages=(Package("prometheus-blackbox-exporter", ("usr/bin/prometheus-blackbox-exporter",)),),
    programs={"blackbox_exporter": ("usr/bin/prometheus-blackbox-exporter",)},
    release=releases.BLACKBOX_EXPORTER,
)

NGINX: Final = Component(
    name="nginx",
    packages=(Package("nginx", ("usr/sbin/nginx",)),),
    programs={"nginx": ("usr/sbin/nginx",)},
)

JOURNAL_REMOTE: Final = Component(
    name="journal-remote",
    packages=(
        Package(
            "systemd-journal-remote",
            ("lib/systemd/systemd-journal-remote", "usr/lib/systemd/systemd-journal-remote"),
        ),
        Package("systemd", ("bin/journalctl", "usr/bin/journalctl"), followed=False),
        # Loaded at run time for compressed entries, so newer packages only recommend it.
        Package("libzstd1", ("lib", "usr/lib")),
    ),
    programs={
        "systemd-journal-remote": (
            "usr/lib/systemd/systemd-journal-remote",
            "lib/systemd/systemd-journal-remote",
        ),
        "journalctl": ("usr/bin/journalctl", "bin/journalctl"),
    },
)

GRAFANA: Final = Component(name="grafana", packages=(), programs={"grafana": ()}, release=releases.GRAFANA)
"""It is in no Debian suite."""

NFTABLES: Final = Component(
    name="nftables",
    packages=(Package("nftables", ("usr/sbin/nft",)),),
    programs={"nft": ("usr/sbin/nft",)},
)

COMPONENTS: Final[dict[str, Component]] = {
    component.name: component
    for component in (
        PROMETHEUS,
        ALERTMANAGER,
        NODE_EXPORTER,
        BLACKBOX_EXPORTER,
        NGINX,
        JOURNAL_REMOTE,
        NFTABLES,
        GRAFANA,
    )
}

LIBRARY_PATHS: Final = ("lib", "usr/lib")
"""What is wanted of a package of shared libraries."""

_TRIPLETS: Final = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

ARCHITECTURES: Final = tuple(_TRIPLETS)
"""The architectures that are supported, by their Debian names."""


def library_folders(architecture: str) -> tuple[str, ...]:
    """Given a Debian architecture, return the folders in which its packages put shared libraries, in search order."""
    triplet = _TRIPLETS[architecture]
    return (f"usr/lib/{triplet}", f"lib/{triplet}", f"usr/lib/{triplet}/systemd")
