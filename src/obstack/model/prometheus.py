"""Configuration of Prometheus: how often it looks, how long it keeps, and what else it scrapes."""

from __future__ import annotations

from pydantic import Field

from obstack.model.base import Section
from obstack.model.scalars import (
    Address,
    ByteSize,
    Duration,
    HttpUrl,
    LabelName,
    LabelValue,
    LoopbackPort,
    Name,
    UrlPath,
)


class ScrapeTarget(Section):
    """Targets outside the stack's own components. They are given by file, so a change reloads nothing."""

    job: Name = Field(description="Name of the scrape job.", examples=["website"])
    addresses: tuple[Address, ...] = Field(
        min_length=1, description="Addresses to scrape, host:port.", examples=[["web-1.example.org:9100"]]
    )
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, description="Labels added to every series of these targets.", examples=[{"team": "shop"}]
    )
    metrics_path: UrlPath = Field(default="/metrics", description="Path to scrape.", examples=["/metrics"])


class RemoteWrite(Section):
    """A second home for the samples, at scale."""

    url: HttpUrl = Field(
        description="Endpoint that takes remote write.", examples=["https://metrics.example.org/api/v1/write"]
    )


class Prometheus(Section):
    """The metrics engine."""

    port: LoopbackPort = Field(default=9090, description="Loopback port of its API.", examples=[9090])
    scrape_interval: Duration = Field(default="15s", description="How often targets are scraped.", examples=["15s"])
    evaluation_interval: Duration = Field(default="15s", description="How often rules are evaluated.", examples=["15s"])
    retention_time: Duration = Field(default="30d", description="How long samples are kept.", examples=["30d"])
    retention_size: ByteSize | None = Field(
        default=None, description="How much the blocks may occupy; the older limit wins.", examples=["50GB"]
    )
    external_labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, description="Labels of everything that leaves this server.", examples=[{"region": "eu"}]
    )
    targets: tuple[ScrapeTarget, ...] = Field(
        default=(),
        description="Further targets.",
        examples=[[{"job": "website", "addresses": ["web-1.example.org:9100"]}]],
    )
    remote_write: tuple[RemoteWrite, ...] = Field(
        default=(),
        description="Where samples are also sent.",
        examples=[[{"url": "https://metrics.example.org/api/v1/write"}]],
    )
    memory_max: ByteSize = Field(default="2GB", description="Most memory that the unit may use.", examples=["2GB"])
