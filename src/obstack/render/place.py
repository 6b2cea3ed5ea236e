"""The monitored host that is being rendered, and where its exporters have their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from obstack.catalog.modules import ResolvedModule
from obstack.model.host import Host
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.materials import HostMaterials
from obstack.render.programs import owner
from obstack.render.tree import RenderedFile

COMPONENT: Final = "observability-exporters"
FOLDER: Final = f"etc/{COMPONENT}"
TEXTFILE: Final = "observability-textfile"
"""The folder of metrics that the node exporter reads, and the group of those who may write into it."""


@dataclass(frozen=True)
class Place:
    """One host of a site, with its settled materials."""

    site: Site
    name: str
    layout: Layout
    materials: HostMaterials

    @property
    def host(self) -> Host:
        """Its configuration."""
        return self.site.hosts[self.name]

    @property
    def textfile(self) -> str:
        """The folder of metrics that scripts leave behind."""
        return self.layout.data(TEXTFILE)

    def etc(self, unit: str) -> str:
        """Given a unit, return the folder of its files by the path that programs are told."""
        return f"{self.layout.etc(COMPONENT)}/{unit}"

    def tls_files(self, unit: str, user: str) -> tuple[RenderedFile, ...]:
        """Given a unit and its user, return its own copy of the certificate, the key and whom it accepts as clients.

        Only the server's scrape certificate is signed by the scrape authority; the gate's certificate signed itself
        and is trusted on this host alone.
        """
        certificate = self.materials.certificate
        clients = f"{self.materials.scrape_authority.rstrip()}\n{self.materials.gate.chain}"
        folder = f"{FOLDER}/{unit}/tls"
        key = certificate.key.reveal().encode()
        return (
            RenderedFile(f"{folder}/certificate.pem", certificate.chain.encode()),
            RenderedFile(f"{folder}/key.pem", key, 0o640, "root", owner(self.layout, user), secret=True),
            RenderedFile(f"{folder}/clients.pem", clients.encode()),
        )


def unit_of(resolved: ResolvedModule) -> str:
    """Given a module, return the name of its unit and of its folder; without a service, its own."""
    service = resolved.shipped.module.service
    return service.name if service is not None else resolved.name


def has_endpoint(resolved: ResolvedModule) -> bool:
    """Given a module, return whether it has an endpoint of its own; others go through another module's."""
    return resolved.shipped.module.exporter.through is None
