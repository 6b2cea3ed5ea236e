"""Configuration of the blackbox exporters: what is probed, and from which machines."""

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
    TLS = "tls"


class Probe(Section):
    """One probed target."""

    name: Name = Field(description="Name, label `probe` of its series.", examples=["website"])
    kind: ProbeKind = Field(
        default=ProbeKind.HTTP,
        description="How it is probed: http, tcp, icmp, dns, or tls (the handshake and the certificate's expiry).",
        examples=["http"],
    )
    target: ProbeTarget = Field(
        description="A URL for http, host:port for tcp and tls, a host for icmp, a DNS server for dns.",
        examples=["https://www.example.org/"],
    )
    hosts: tuple[Name, ...] = Field(
        default=(),
        description="Hosts with the module blackbox from which it is probed; absent means from the server.",
        examples=[["web-1"]],
    )


class Blackbox(Section):
    """The probers: the server's own, and the module `blackbox` of hosts."""

    port: LoopbackPort = Field(default=9115, description="Loopback port of its metrics.", examples=[9115])
    probes: tuple[Probe, ...] = Field(
        default=(),
        description="What is probed, on every scrape.",
        examples=[[{"name": "website", "target": "https://www.example.org/"}]],
    )
