"""Configuration of the front door: nginx with TLS and authentication before everything else."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from obstack.model.base import Section
from obstack.model.door_certificate import DoorCertificate
from obstack.model.scalars import Name, Network, Port, SecretReference


class Role(StrEnum):
    """What a person may do: each role may do all that the one before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class MachineRight(StrEnum):
    """What a machine may do; nothing else is open to it."""

    READ_METRICS = "read-metrics"
    WRITE_METRICS = "write-metrics"
    PUSH_ALERTS = "push-alerts"


class User(Section):
    """Somebody who may pass the front door."""

    name: Name = Field(description="Login.", examples=["admin"])
    password: SecretReference = Field(description="Where the password is kept.", examples=["secret:admin-password"])
    role: Role = Field(
        default=Role.EDITOR,
        description="viewer reads, editor also silences alerts, admin also uses the administration of the programs.",
        examples=["viewer"],
    )


class Machine(Section):
    """A program elsewhere that reads or pushes by itself. It cannot enter the pages for people."""

    name: Name = Field(description="Login.", examples=["edge-1"])
    password: SecretReference = Field(
        description="Where the password is kept: at least 32 characters, drawn and not made up.",
        examples=["secret:edge-1-password"],
    )
    may: tuple[MachineRight, ...] = Field(
        min_length=1,
        description="What it may do: read-metrics (queries), write-metrics (remote write), push-alerts.",
        examples=[["write-metrics"]],
    )


class FrontDoor(Section):
    """The only listener that is not on loopback."""

    https_port: Port = Field(
        default=443,
        description="Port of the TLS listener; with plain_http, the port at which people reach the proxy before it.",
        examples=[443],
    )
    http_port: Port = Field(default=80, description="Port that redirects to TLS.", examples=[80])
    ipv6: bool = Field(
        default=True, description="Whether it listens on IPv6 too; not on a private root.", examples=[True]
    )
    plain_http: bool = Field(
        default=False,
        description="Serve on http_port without TLS, to trusted_proxies alone, which then must do it.",
        examples=[False],
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(),
        description="Proxies before the front door, whose X-Forwarded-For names the client.",
        examples=[["192.0.2.7", "2001:db8:1::/64"]],
    )
    users: tuple[User, ...] = Field(
        default=(User(name="admin", password="secret:admin-password", role=Role.ADMIN),),
        min_length=1,
        description="Who may enter.",
        examples=[[{"name": "admin", "password": "secret:admin-password", "role": "admin"}]],
    )
    machines: tuple[Machine, ...] = Field(
        default=(),
        description="Which programs elsewhere may read or push.",
        examples=[[{"name": "edge-1", "password": "secret:edge-1-password", "may": ["write-metrics"]}]],
    )
    certificate: DoorCertificate = Field(
        default=DoorCertificate(),
        description="The certificate that it shows: who signs it, and where it comes from.",
        examples=[{"mode": "acme", "mail": "ops@example.org"}],
    )
