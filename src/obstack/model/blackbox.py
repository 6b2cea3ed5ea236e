"""Configuration of the blackbox exporter: what is probed from the server."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from obstack.model.base import Section
from obstack.model.scalars import LoopbackPort, Name, ProbeTarget


class ProbeKind(StrEnum):
    """How a target is probed."""

    HTTP = "http"
    TCP = "tcp"
    ICMP = "icmp"
    DNS = "dns"


class Probe(Section):
    """One probed target."""

    name: Name = Field(description="Name, label `probe` of its series.", examples=["website"])
    kind: ProbeKind = Field(default=ProbeKind.HTTP, description="How it is probed.", examples=["http"])
    target: ProbeTarget = Field(
        description="URL, host:port or host, as the kind needs.",
        examples=["https://www.example.org/"],
    )


class Blackbox(Section):
    """The prober."""

    port: LoopbackPort = Field(default=9115, description="Loopback port.", examples=[9115])
    probes: tuple[Probe, ...] = Field(
        default=(),
        description="What is probed.",
        examples=[[{"name": "website", "target": "https://www.example.org/"}]],
    )
