"""Configuration of the front door: nginx with TLS and authentication before everything else."""

from __future__ import annotations

from pydantic import Field

from obstack.model.base import Section
from obstack.model.door_certificate import DoorCertificate
from obstack.model.scalars import Name, Port, SecretReference


class User(Section):
    """Somebody who may pass the front door."""

    name: Name = Field(description="Login.", examples=["admin"])
    password: SecretReference = Field(description="Where the password is kept.", examples=["secret:admin-password"])


class FrontDoor(Section):
    """The only listener that is not on loopback."""

    https_port: Port = Field(default=443, description="Port of the TLS listener.", examples=[443])
    http_port: Port = Field(default=80, description="Port that redirects to TLS.", examples=[80])
    users: tuple[User, ...] = Field(
        default=(User(name="admin", password="secret:admin-password"),),
        min_length=1,
        description="Who may enter.",
        examples=[[{"name": "admin", "password": "secret:admin-password"}]],
    )
    certificate: DoorCertificate = Field(
        default=DoorCertificate(),
        description="The certificate that it shows: who signs it, and where it comes from.",
        examples=[{"mode": "acme", "mail": "ops@example.org"}],
    )
