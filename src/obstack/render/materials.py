"""What rendering needs beside the site: values that had to be looked up, made or drawn at random, already settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from obstack.catalog.artifact import Artifact
from obstack.model.secret import Secret


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, all PEM. `chain` is the certificate followed by its issuers.

    `authority` is what to verify it with; empty for one that every machine trusts.
    """

    chain: str
    key: Secret
    authority: str


@dataclass(frozen=True)
class Login:
    """A user of the front door: the bcrypt hash goes to nginx; `password` only to what must log in itself."""

    name: str
    hash: str
    password: Secret


@dataclass(frozen=True)
class Materials:
    """Everything settled. Equal site, layout and materials give equal bytes.

    `secrets` are by name; `logins` are the front door's users; `gate` is the machine account of the gate probes;
    `artifacts` are by component. `scrape` is the client certificate that Prometheus shows to the hosts' exporters;
    None while the site has no hosts. `certificate` is the front door's; `internal` is what the hosts are shown where
    that is of another authority than the site's own. `renewal` is the command that renews the certificates, by absolute
    path, and `deploy` the one that puts in force what certbot has got. `acme_authority` is the certificate by which to
    know the authority that certbot asks; empty where every machine knows it. `dashboards` are Grafana's documents of
    the site's own, by name.
    """

    secrets: Mapping[str, Secret]
    logins: tuple[Login, ...]
    gate: Login
    certificate: Certificate
    artifacts: Mapping[str, Artifact]
    scrape: Certificate | None = None
    renewal: tuple[str, ...] = ()
    internal: Certificate | None = None
    deploy: tuple[str, ...] = ()
    acme_authority: str = ""

    @property
    def towards_hosts(self) -> Certificate:
        """Return what the server shows to its hosts: signed by the site's own authority, the one that they know."""
        return self.internal or self.certificate

    dashboards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class HostMaterials:
    """Everything settled for one monitored host.

    `certificate` serves its exporters and is shown when it ships its journal; it is signed by the site's authority.
    `scrape_authority` is the PEM of the other authority, whose only leaf is the server's scrape certificate: the one
    thing that exporters trust for clients. `gate` is a client certificate that signed itself and is trusted on this
    host alone, for the gates of its own agent. `artifacts` are by name of the modules' artifacts and components.
    """

    secrets: Mapping[str, Secret]
    certificate: Certificate
    scrape_authority: str
    gate: Certificate
    artifacts: Mapping[str, Artifact]
