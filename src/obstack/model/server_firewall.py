"""Configuration of the server's firewall: who may reach the machine that runs the stack."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from obstack.model.base import Section
from obstack.model.scalars import Network, Port, Text


class Admission(Section):
    """A port of the server that other machines may reach beside those of the stack."""

    port: Port = Field(description="The port.", examples=[8443])
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="tcp or udp.", examples=["tcp"])
    sources: Annotated[tuple[Network, ...], Field(min_length=1)] | None = Field(
        default=None,
        alias="from",
        description="Addresses and networks that may reach it; absent means everybody.",
        examples=[["192.0.2.0/24", "2001:db8::/32"]],
    )
    comment: Text | None = Field(default=None, description="What it is for, to people.", examples=["the shop"])


class ServerFirewall(Section):
    """Who may reach the server, by IPv4 and IPv6."""

    enabled: bool = Field(
        default=True,
        description="Whether everything is shut but SSH, the front door, the port that takes the hosts' journals, for "
        "them alone, and what is admitted. `observability up` never has a firewall.",
        examples=[True],
    )
    admit: tuple[Admission, ...] = Field(
        default=(),
        description="Ports that other machines may reach besides.",
        examples=[[{"port": 8443, "from": ["192.0.2.0/24"], "comment": "the shop"}]],
    )
