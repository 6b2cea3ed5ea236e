"""What rendering needs beside the site: values that had to be looked up, made or drawn at random, already settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from obstack.catalog.artifact import Artifact
from obstack.model.secret import Secret


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, all PEM. `chain` is the certificate followed by its issuers."""

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
    `artifacts` are by component.
    """

    secrets: Mapping[str, Secret]
    logins: tuple[Login, ...]
    gate: Login
    certificate: Certificate
    artifacts: Mapping[str, Artifact]
