"""Alertmanager: does what fires reach people."""

from __future__ import annotations

from typing import Final

from obstack.model.dashboard import Dashboard, Panel, Thresholds

ALERTMANAGER: Final = Dashboard(
    title="Alertmanager",
    panels=(
        Panel(
            title="Answers",
            description="Whether the last scrape succeeded.",
            kind="state",
            expr='up{job="alertmanager"}',
        ),
        Panel(
            title="Runs the newest configuration",
            description="Not well when it refused the configuration on disk and runs the one before.",
            kind="state",
            expr='alertmanager_config_last_reload_successful{job="alertmanager"}',
        ),
        Panel(
            title="Silences in force",
            description="Alerts that match one are told to nobody.",
            kind="number",
            unit="silences",
            expr='alertmanager_silences{job="alertmanager",state="active"}',
        ),
        Panel(
            title="Alerts by state",
            description="Active alerts are told; suppressed ones are silenced or inhibited.",
            kind="line",
            unit="alerts",
            expr='sum by (state) (alertmanager_alerts{job="alertmanager"})',
            legend="state",
        ),
        Panel(
            title="Alerts that arrive a second",
            description="From Prometheus, each repeated while it fires. Nothing at all: the watchdog does not arrive.",
            kind="line",
            unit="alerts/s",
            expr='sum by (host) (rate(alertmanager_alerts_received_total{job="alertmanager"}[5m]))',
        ),
        Panel(
            title="Notifications a second",
            description="Messages to people and programs, by the way they take.",
            kind="line",
            unit="notifications/s",
            expr='sum by (integration) (rate(alertmanager_notifications_total{job="alertmanager"}[5m]))',
            legend="integration",
        ),
        Panel(
            title="Notifications that failed a second",
            description="Messages that the far side did not take; the log says why.",
            kind="line",
            unit="notifications/s",
            expr='sum by (integration) (rate(alertmanager_notifications_failed_total{job="alertmanager"}[5m]))',
            legend="integration",
            thresholds=Thresholds(critical=0.001),
        ),
    ),
)
