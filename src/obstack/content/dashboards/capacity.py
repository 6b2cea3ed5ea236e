"""Capacity: what will not be enough, and when."""

from __future__ import annotations

from typing import Final

from obstack.content.machine import REAL
from obstack.model.dashboard import Dashboard, Panel, Thresholds

CAPACITY: Final = Dashboard(
    title="Capacity",
    panels=(
        Panel(
            title="Free space in a week",
            description=(
                "Free share of each file system in seven days, if it goes on as in the last day; below 0 it is full"
                " before that."
            ),
            kind="line",
            unit="ratio",
            expr=(
                f"predict_linear(node_filesystem_avail_bytes{{{REAL}}}[1d], 7 * 86400)"
                f" / node_filesystem_size_bytes{{{REAL}}}"
            ),
            legend="mountpoint",
            thresholds=Thresholds(warning=0.15, critical=0, worse="below"),
        ),
        Panel(
            title="Free inodes",
            description="Share of the inodes that are free: many small files can use them up long before the space.",
            kind="line",
            unit="ratio",
            expr=f"node_filesystem_files_free{{{REAL}}} / node_filesystem_files{{{REAL}}}",
            legend="mountpoint",
            thresholds=Thresholds(warning=0.2, critical=0.1, worse="below"),
        ),
        Panel(
            title="Busiest hours of the processors",
            description="What the busy share stayed below for 95 % of the last day.",
            kind="line",
            unit="ratio",
            expr="quantile_over_time(0.95, instance:node_cpu_busy:ratio_rate5m[1d])",
            thresholds=Thresholds(warning=0.8, critical=0.95),
        ),
        Panel(
            title="Least memory",
            description="The least share of memory that was available within the last day.",
            kind="line",
            unit="ratio",
            expr="min_over_time(instance:node_memory_available:ratio[1d])",
            thresholds=Thresholds(warning=0.1, critical=0.05, worse="below"),
        ),
        Panel(
            title="Series",
            description="Series that Prometheus keeps in memory; each takes some 3 to 8 KiB of it.",
            kind="line",
            unit="series",
            expr="prometheus_tsdb_head_series",
        ),
        Panel(
            title="Metrics on the disk",
            description="What Prometheus's blocks take; the retention bounds it.",
            kind="line",
            unit="bytes",
            expr="prometheus_tsdb_storage_blocks_bytes",
        ),
    ),
)
