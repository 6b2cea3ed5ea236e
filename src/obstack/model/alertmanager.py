"""Configuration of Alertmanager: who is told, and how alerts are grouped."""

from __future__ import annotations

from pydantic import Field

from obstack.model.base import Section
from obstack.model.scalars import (
    ByteSize,
    Duration,
    HostName,
    HttpUrl,
    LabelName,
    LoopbackPort,
    MailAddress,
    Name,
    Port,
    SecretReference,
    Text,
)


class Smtp(Section):
    """The mail relay used by e-mail receivers."""

    host: HostName = Field(description="Relay host.", examples=["mail.example.org"])
    port: Port = Field(default=587, description="Relay port.", examples=[587])
    sender: MailAddress = Field(description="Sender address.", examples=["alerts@example.org"])
    username: Text | None = Field(default=None, description="Login, when the relay wants one.", examples=["alerts"])
    password: SecretReference | None = Field(
        default=None, description="Password of the login.", examples=["secret:smtp-password"]
    )
    require_tls: bool = Field(default=True, description="Refuse to send without STARTTLS.", examples=[True])


class Receiver(Section):
    """A named place where notifications go. At least one of its channels is set."""

    name: Name = Field(description="Name used in routes.", examples=["operators"])
    email: tuple[MailAddress, ...] = Field(default=(), description="Addresses to mail.", examples=[["ops@example.org"]])
    webhook: tuple[HttpUrl, ...] = Field(
        default=(), description="URLs to post to.", examples=[["https://hooks.example.org/alerts"]]
    )


class Route(Section):
    """Alerts whose labels equal all of `match` go to `receiver`; the first route that matches wins."""

    receiver: Name = Field(description="Name of a receiver.", examples=["operators"])
    match: dict[LabelName, Text] = Field(
        min_length=1, description="Labels and their values.", examples=[{"severity": "critical"}]
    )


class Alertmanager(Section):
    """The alert router."""

    port: LoopbackPort = Field(default=9093, description="Loopback port of its API.", examples=[9093])
    smtp: Smtp | None = Field(
        default=None,
        description="Mail relay; needed by e-mail receivers.",
        examples=[{"host": "mail.example.org", "sender": "alerts@example.org"}],
    )
    receivers: tuple[Receiver, ...] = Field(
        default=(),
        description="Where notifications go.",
        examples=[[{"name": "operators", "email": ["ops@example.org"]}]],
    )
    default_receiver: Name | None = Field(
        default=None,
        description="Receiver of alerts that no route matches; without it they are only shown.",
        examples=["operators"],
    )
    routes: tuple[Route, ...] = Field(
        default=(),
        description="Routes, tried in order.",
        examples=[[{"receiver": "operators", "match": {"severity": "critical"}}]],
    )
    group_wait: Duration = Field(default="30s", description="Wait for more alerts of a new group.", examples=["30s"])
    group_interval: Duration = Field(
        default="5m", description="Wait before telling of changes in a group.", examples=["5m"]
    )
    repeat_interval: Duration = Field(
        default="4h", description="Wait before repeating a notification.", examples=["4h"]
    )
    memory_max: ByteSize = Field(default="512MB", description="Most memory that the unit may use.", examples=["512MB"])
