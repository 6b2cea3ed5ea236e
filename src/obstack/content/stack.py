"""Alerts about the stack itself: who watches the watchers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from obstack.content.rules import Alert, Group, Severity

WATCHDOG: Final = Alert(
    name="Watchdog",
    expression="vector(1)",
    hold="0s",
    severity=Severity.NONE,
    summary="Alerts are evaluated and delivered",
    description="This alert always fires. When it stops arriving, the way from Prometheus to people is broken.",
)

TARGET_DOWN: Final = Alert(
    name="TargetDown",
    expression="up == 0",
    hold="2m",
    severity=Severity.CRITICAL,
    summary="{{ $labels.job }} on {{ $labels.instance }} cannot be scraped",
    description="Prometheus has got no metrics from {{ $labels.instance }} (job {{ $labels.job }}) for 2 minutes.",
)


def availability(jobs: Sequence[str]) -> Group:
    """Given the names of the scrape jobs, return the alerts about targets that are down or gone."""
    return Group("availability", (WATCHDOG, TARGET_DOWN, *(_missing(job) for job in jobs)))


def _missing(job: str) -> Alert:
    # A target that nobody scrapes any more has no `up` at all, so TargetDown could never fire for it.
    return Alert(
        name="TargetMissing",
        expression=f'absent(up{{job="{job}"}})',
        hold="5m",
        severity=Severity.CRITICAL,
        summary="No target of job {{ $labels.job }} is known",
        description="Prometheus has scraped nothing under job {{ $labels.job }} for 5 minutes.",
        labels={"job": job},
    )


PROMETHEUS: Final = Group(
    "prometheus",
    (
        Alert(
            name="PrometheusConfigurationReloadFailed",
            expression="max_over_time(prometheus_config_last_reload_successful[5m]) == 0",
            hold="5m",
            severity=Severity.CRITICAL,
            summary="Prometheus could not load its configuration",
            description="{{ $labels.instance }} refused the configuration on disk and runs the one before it.",
        ),
        Alert(
            name="PrometheusRuleFailures",
            expression="increase(prometheus_rule_evaluation_failures_total[5m]) > 0",
            hold="10m",
            severity=Severity.CRITICAL,
            summary="Prometheus cannot evaluate rules",
            description="Rules of {{ $labels.rule_group }} fail on {{ $labels.instance }}: their alerts cannot fire.",
        ),
        Alert(
            name="PrometheusRuleEvaluationsMissed",
            expression="increase(prometheus_rule_group_iterations_missed_total[5m]) > 0",
            hold="15m",
            severity=Severity.WARNING,
            summary="Prometheus is too slow for its rules",
            description="{{ $labels.instance }} skipped evaluations of {{ $labels.rule_group }}: alerts come late.",
        ),
        Alert(
            name="PrometheusDatabaseReloadsFailing",
            expression="increase(prometheus_tsdb_reloads_failures_total[3h]) > 0",
            hold="1h",
            severity=Severity.WARNING,
            summary="Prometheus cannot reload its blocks",
            description="{{ $labels.instance }} failed {{ $value | humanize }} times within 3 h to reload blocks.",
        ),
        Alert(
            name="PrometheusDatabaseCompactionsFailing",
            expression="increase(prometheus_tsdb_compactions_failed_total[3h]) > 0",
            hold="1h",
            severity=Severity.WARNING,
            summary="Prometheus cannot compact its blocks",
            description="{{ $labels.instance }} failed {{ $value | humanize }} compactions in 3 h; its disk fills.",
        ),
        Alert(
            name="PrometheusDatabaseCorrupted",
            expression="increase(prometheus_tsdb_wal_corruptions_total[1h]) > 0",
            hold="0s",
            severity=Severity.CRITICAL,
            summary="Prometheus found damage in its write-ahead log",
            description="{{ $labels.instance }} found {{ $value | humanize }} damaged records; samples may be lost.",
        ),
        Alert(
            name="PrometheusNotConnectedToAlertmanager",
            expression="max_over_time(prometheus_notifications_alertmanagers_discovered[5m]) < 1",
            hold="5m",
            severity=Severity.CRITICAL,
            summary="Prometheus knows no Alertmanager",
            description="Alerts of {{ $labels.instance }} reach nobody.",
        ),
        Alert(
            name="PrometheusNotificationsFailing",
            expression=(
                "rate(prometheus_notifications_errors_total[5m]) / rate(prometheus_notifications_sent_total[5m]) > 0.01"
            ),
            hold="10m",
            severity=Severity.CRITICAL,
            summary="Prometheus cannot hand over alerts",
            description="{{ $value | humanizePercentage }} of the alerts of {{ $labels.instance }} are not delivered.",
        ),
        Alert(
            name="PrometheusRestarting",
            expression='changes(process_start_time_seconds{job="prometheus"}[30m]) > 2',
            hold="0s",
            severity=Severity.WARNING,
            summary="Prometheus restarts again and again",
            description="{{ $labels.instance }} started {{ $value | humanize }} times within 30 minutes.",
        ),
    ),
)

ALERTMANAGER: Final = Group(
    "alertmanager",
    (
        Alert(
            name="AlertmanagerConfigurationReloadFailed",
            expression="max_over_time(alertmanager_config_last_reload_successful[5m]) == 0",
            hold="5m",
            severity=Severity.CRITICAL,
            summary="Alertmanager could not load its configuration",
            description="{{ $labels.instance }} refused the configuration on disk and runs the one before it.",
        ),
        Alert(
            name="AlertmanagerNotificationsFailing",
            expression=(
                "sum without (reason) (rate(alertmanager_notifications_failed_total[5m]))"
                " / sum without (reason) (rate(alertmanager_notifications_total[5m])) > 0.01"
            ),
            hold="5m",
            severity=Severity.CRITICAL,
            summary="Alertmanager cannot tell people",
            description=(
                "{{ $value | humanizePercentage }} of the {{ $labels.integration }} notifications of"
                " {{ $labels.instance }} fail."
            ),
        ),
    ),
)
