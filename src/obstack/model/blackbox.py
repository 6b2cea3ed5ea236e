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
    kind: ProbeKind = Field(
        default=ProbeKind.HTTP, description="How it is probed: http, tcp, icmp or dns.", examples=["http"]
    )
    target: ProbeTarget = Field(
        description="A URL for http, host:port for tcp, a host for icmp, a DNS server for dns.",
        examples=["https://www.example.org/"],
    )


class Blackbox(Section):
    """The prober."""

    port: LoopbackPort = Field(default=9115, description="Loopback port of its metrics.", examples=[9115])
    probes: tuple[Probe, ...] = Field(
        default=(),
        description="What is probed, on every scrape.",
        examples=[[{"name": "website", "target": "https://www.example.org/"}]],
    )
