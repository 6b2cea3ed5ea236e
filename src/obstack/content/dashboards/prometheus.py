"""Prometheus about itself."""

from __future__ import annotations

from typing import Final

from obstack.model.dashboard import Dashboard, Panel, Thresholds

PROMETHEUS: Final = Dashboard(
    title="Prometheus",
    panels=(
        Panel(
            title="Scrapes itself",
            description="Whether the last scrape of its own metrics succeeded.",
            kind="state",
            expr='up{job="prometheus"}',
        ),
        Panel(
            title="Runs the newest configuration",
            description="Not well when it refused the configuration on disk and runs the one before.",
            kind="state",
            expr='prometheus_config_last_reload_successful{job="prometheus"}',
        ),
        Panel(
            title="Series",
            description="Series in memory. A jump is a label with too many values.",
            kind="number",
            unit="series",
            expr='prometheus_tsdb_head_series{job="prometheus"}',
        ),
        Panel(
            title="Up since",
            description="Time since it was started. A small number after no change of yours was a crash.",
            kind="number",
            unit="seconds",
            expr='time() - process_start_time_seconds{job="prometheus"}',
        ),
        Panel(
            title="Samples a second",
            description="What it takes in. A fall means that targets are gone.",
            kind="line",
            unit="samples/s",
            expr='sum by (host) (rate(prometheus_tsdb_head_samples_appended_total{job="prometheus"}[5m]))',
        ),
        Panel(
            title="Slowest scrape of each job",
            description="Near the scrape timeout, scrapes begin to fail.",
            kind="line",
            unit="seconds",
            expr="max by (job) (scrape_duration_seconds)",
            legend="job",
            thresholds=Thresholds(warning=5, critical=9),
        ),
        Panel(
            title="Time of the rules",
            description="How long each group of rules took; longer than the interval, evaluations are missed.",
            kind="line",
            unit="seconds",
            # The label is the path of the file and the name of the group in it.
            expr=(
                'max by (host, group) (label_replace(prometheus_rule_group_last_duration_seconds{job="prometheus"},'
                ' "group", "$1", "rule_group", ".*;(.*)"))'
            ),
            legend="group",
            thresholds=Thresholds(warning=5, critical=14),
        ),
        Panel(
            title="Rules that failed a second",
            description="Evaluations that ended in an error; the log says why.",
            kind="line",
            unit="failures/s",
            expr='sum by (host) (rate(prometheus_rule_evaluation_failures_total{job="prometheus"}[5m]))',
            thresholds=Thresholds(critical=0.001),
        ),
        Panel(
            title="Queries a second",
            description="What dashboards, rules of others and people ask over HTTP.",
            kind="line",
            unit="queries/s",
            expr=(
                'sum by (handler) (rate(prometheus_http_requests_total{job="prometheus",'
                'handler=~"/api/v1/query.*"}[5m]))'
            ),
            legend="handler",
        ),
        Panel(
            title="Notifications that were lost a second",
            description="Alerts that could not be handed to Alertmanager.",
            kind="line",
            unit="alerts/s",
            expr='rate(prometheus_notifications_dropped_total{job="prometheus"}[5m])',
            thresholds=Thresholds(critical=0.001),
        ),
        Panel(
            title="Memory",
            description="Resident memory of the process; prometheus.memory_max bounds it.",
            kind="line",
            unit="bytes",
            expr='process_resident_memory_bytes{job="prometheus"}',
        ),
        Panel(
            title="On the disk",
            description="Blocks; the write-ahead log comes on top of it.",
            kind="line",
            unit="bytes",
            expr='prometheus_tsdb_storage_blocks_bytes{job="prometheus"}',
        ),
    ),
)
