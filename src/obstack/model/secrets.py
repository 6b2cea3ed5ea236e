"""Where the values behind `secret:NAME` are kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from obstack.model.base import Section
from obstack.model.scalars import AGE_RECIPIENT_PATTERN, Name, Text


class Provider(StrEnum):
    """What keeps the secrets."""

    FILES = "files"
    AGE = "age"
    ENVIRONMENT = "environment"


class Credential(StrEnum):
    """How a credential lies on the server."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"


AgeRecipient = Annotated[str, StringConstraints(pattern=AGE_RECIPIENT_PATTERN)]


class Age(Section):
    """The one encrypted file of the provider `age`, which may lie in git."""

    file: Text = Field(
        default="secrets.age",
        description="The encrypted file; a relative path starts at the configuration.",
        examples=["secrets.age"],
    )
    identity: Text = Field(
        default="secrets/age-identity",
        description="The file with the key that opens it, never in git; a relative path starts at the configuration.",
        examples=["/root/.config/observability/age-identity"],
    )
    recipients: tuple[AgeRecipient, ...] = Field(
        default=(),
        description="Public keys of the others that may open it, beside the identity's own.",
        examples=[["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]],
    )


class Secrets(Section):
    """Where the values behind `secret:NAME` are kept."""

    provider: Provider = Field(
        default=Provider.FILES,
        description="What keeps them; files is a file each below secrets/, age one encrypted file, environment the "
        "variables OBSERVABILITY_SECRET_NAME, which are read only.",
        examples=["files"],
    )
    age: Age = Field(default=Age(), description="The file of the provider age.", examples=[{"file": "secrets.age"}])
    credentials: dict[Name, Credential] = Field(
        default_factory=dict,
        description="Secrets that only the server's systemd has: plain in /etc/credstore/NAME, encrypted in "
        "/etc/credstore.encrypted/NAME. For what a program reads from a file, which is the mail relay's password.",
        examples=[{"smtp-password": "encrypted"}],
    )
