"""Fleet overview: is anything wrong, and on which machine."""

from __future__ import annotations

from typing import Final

from obstack.model.dashboard import Dashboard, Panel, Thresholds

FLEET: Final = Dashboard(
    title="Fleet",
    panels=(
        Panel(
            title="Machines",
            description="Machines of which at least one target is known, the server among them.",
            kind="number",
            unit="machines",
            expr="count(count by (host) (up))",
        ),
        Panel(
            title="Machines that answer nothing",
            description="Machines none of whose exporters can be scraped: off, cut off, or without the exporters.",
            kind="number",
            unit="machines",
            expr="count(max by (host) (up) == 0) or vector(0)",
            thresholds=Thresholds(critical=1),
        ),
        Panel(
            title="Targets that cannot be scraped",
            description="Each exporter of each machine is a target.",
            kind="number",
            unit="targets",
            expr="count(up == 0) or vector(0)",
            thresholds=Thresholds(critical=1),
        ),
        Panel(
            title="Critical alerts",
            description="Alerts that fire and want a person at once.",
            kind="number",
            unit="alerts",
            expr='count(ALERTS{alertstate="firing",severity="critical"}) or vector(0)',
            thresholds=Thresholds(critical=1),
        ),
        Panel(
            title="Warnings",
            description="Alerts that fire and want a person today.",
            kind="number",
            unit="alerts",
            expr='count(ALERTS{alertstate="firing",severity="warning"}) or vector(0)',
            thresholds=Thresholds(warning=1),
        ),
        Panel(
            title="First certificate to end",
            description="Days until the first certificate ends that a probe has been shown.",
            kind="number",
            unit="days",
            expr="(min(probe_ssl_earliest_cert_expiry) - time()) / 86400",
            thresholds=Thresholds(warning=21, critical=7, worse="below"),
        ),
        Panel(
            title="Alerts that fire",
            description="What is wrong now; the runbook of each is named in the alert itself.",
            kind="table",
            expr='ALERTS{alertstate="firing",severity!="none"}',
            legend="alertname",
        ),
        Panel(
            title="Targets that are down",
            description="Which exporter of which machine cannot be scraped; empty when all is well.",
            kind="table",
            expr="up == 0",
            legend="job",
        ),
        Panel(
            title="Busy processors",
            description="Share of the processors' time that was not idle, over five minutes.",
            kind="line",
            unit="ratio",
            expr="instance:node_cpu_busy:ratio_rate5m",
            thresholds=Thresholds(warning=0.8, critical=0.95),
        ),
        Panel(
            title="Load for each processor",
            description="Processes that run or wait for a processor or a disk, for each processor. Above 1 they wait.",
            kind="line",
            expr=('node_load5 / on (host, instance) count by (host, instance) (node_cpu_seconds_total{mode="idle"})'),
            thresholds=Thresholds(warning=1, critical=2),
        ),
        Panel(
            title="Memory available",
            description="Share of the memory that programs can still get without anything being swapped out.",
            kind="line",
            unit="ratio",
            expr="instance:node_memory_available:ratio",
            thresholds=Thresholds(warning=0.1, critical=0.05, worse="below"),
        ),
        Panel(
            title="Fullest file system",
            description="Free share of the file system of each machine that has the least.",
            kind="line",
            unit="ratio",
            expr="min by (host) (instance_device:node_filesystem_free:ratio)",
            thresholds=Thresholds(warning=0.15, critical=0.05, worse="below"),
        ),
        Panel(
            title="Received",
            description="Bytes from the network, all devices but loopback together.",
            kind="line",
            unit="bytes/s",
            expr='sum by (host) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))',
        ),
        Panel(
            title="Sent",
            description="Bytes to the network, all devices but loopback together.",
            kind="line",
            unit="bytes/s",
            expr='sum by (host) (rate(node_network_transmit_bytes_total{device!="lo"}[5m]))',
        ),
    ),
)
