"""For each alert: what makes it fire, from when, and what must leave it silent."""

from __future__ import annotations

from dataclasses import dataclass

Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """`firing` makes the alert fire at `fires_at` minutes but not yet at `quiet_at`; `healthy` never does.

    Values are promtool's: `0x10` is ten zeros after the first, `0+5x10` grows by five, one a minute. `severity` picks
    one of several rules of the same name.
    """

    alert: str
    firing: Series
    healthy: Series
    fires_at: int
    quiet_at: int | None = None
    severity: str | None = None
    labels: str = ""


FILESYSTEM = '{instance="a",device="/dev/sda1",mountpoint="/",fstype="ext4"}'
TMPFS = '{instance="a",device="tmpfs",mountpoint="/run",fstype="tmpfs"}'


def _disk(free: str, filesystem: str = FILESYSTEM) -> Series:
    return {f"node_filesystem_avail_bytes{filesystem}": free, f"node_filesystem_size_bytes{filesystem}": "100x600"}


def _expiry(days: int, job: str = "probes") -> Series:
    return {f'probe_ssl_earliest_cert_expiry{{instance="a",job="{job}"}}': f"{days * 86400 + 43200}x200"}


def _door(days: int) -> Series:
    return _expiry(days, "front-door")


CASES = (
    Case("Watchdog", {}, {}, fires_at=1),
    Case("TargetDown", {'up{job="x",instance="a"}': "0x10"}, {'up{job="x",instance="a"}': "1x10"}, 3, quiet_at=1),
    Case(
        "TargetMissing",
        {'up{job="prometheus",instance="a"}': "1x5 stale"},
        # Down is not missing.
        {'up{job="prometheus",instance="a"}': "0x30"},
        fires_at=13,
        quiet_at=7,
        labels=',job="prometheus"',
    ),
    Case(
        "PrometheusConfigurationReloadFailed",
        {'prometheus_config_last_reload_successful{instance="a"}': "0x30"},
        {'prometheus_config_last_reload_successful{instance="a"}': "1x5 0x3 1x20"},
        fires_at=6,
        quiet_at=4,
    ),
    Case(
        "PrometheusRuleFailures",
        {'prometheus_rule_evaluation_failures_total{instance="a",rule_group="g"}': "0+1x40"},
        {'prometheus_rule_evaluation_failures_total{instance="a",rule_group="g"}': "7x40"},
        fires_at=15,
        quiet_at=9,
    ),
    Case(
        "PrometheusRuleEvaluationsMissed",
        {'prometheus_rule_group_iterations_missed_total{instance="a",rule_group="g"}': "0+1x40"},
        {'prometheus_rule_group_iterations_missed_total{instance="a",rule_group="g"}': "3x40"},
        fires_at=20,
        quiet_at=14,
    ),
    Case(
        "PrometheusDatabaseReloadsFailing",
        {'prometheus_tsdb_reloads_failures_total{instance="a"}': "0+1x120"},
        {'prometheus_tsdb_reloads_failures_total{instance="a"}': "2x120"},
        fires_at=70,
        quiet_at=50,
    ),
    Case(
        "PrometheusDatabaseCompactionsFailing",
        {'prometheus_tsdb_compactions_failed_total{instance="a"}': "0+1x120"},
        {'prometheus_tsdb_compactions_failed_total{instance="a"}': "2x120"},
        fires_at=70,
        quiet_at=50,
    ),
    Case(
        "PrometheusDatabaseCorrupted",
        {'prometheus_tsdb_wal_corruptions_total{instance="a"}': "0x5 1x20"},
        {'prometheus_tsdb_wal_corruptions_total{instance="a"}': "1x40"},
        fires_at=10,
        quiet_at=4,
    ),
    Case(
        "PrometheusNotConnectedToAlertmanager",
        {'prometheus_notifications_alertmanagers_discovered{instance="a"}': "0x30"},
        {'prometheus_notifications_alertmanagers_discovered{instance="a"}': "1x30"},
        fires_at=6,
        quiet_at=4,
    ),
    Case(
        "PrometheusNotificationsFailing",
        {
            'prometheus_notifications_errors_total{instance="a",alertmanager="b"}': "0+1x40",
            'prometheus_notifications_sent_total{instance="a",alertmanager="b"}': "0+10x40",
        },
        {
            'prometheus_notifications_errors_total{instance="a",alertmanager="b"}': "5x40",
            'prometheus_notifications_sent_total{instance="a",alertmanager="b"}': "0+10x40",
        },
        fires_at=15,
        quiet_at=9,
    ),
    Case(
        "PrometheusRestarting",
        {'process_start_time_seconds{job="prometheus",instance="a"}': "1x5 2x5 3x5 4x20"},
        {'process_start_time_seconds{job="prometheus",instance="a"}': "1x5 2x40"},
        fires_at=20,
        quiet_at=10,
    ),
    Case(
        "AlertmanagerConfigurationReloadFailed",
        {'alertmanager_config_last_reload_successful{instance="a"}': "0x30"},
        {'alertmanager_config_last_reload_successful{instance="a"}': "1x30"},
        fires_at=6,
        quiet_at=4,
    ),
    Case(
        "AlertmanagerNotificationsFailing",
        {
            # Newer versions count failures by reason, totals never.
            'alertmanager_notifications_failed_total{instance="a",integration="email",reason="other"}': "0+1x40",
            'alertmanager_notifications_total{instance="a",integration="email"}': "0+2x40",
        },
        {
            'alertmanager_notifications_failed_total{instance="a",integration="email",reason="other"}': "1x40",
            'alertmanager_notifications_total{instance="a",integration="email"}': "0+2x40",
        },
        fires_at=10,
        quiet_at=4,
    ),
    Case("HostDiskSpaceLow", _disk("10x60"), _disk("20x60"), fires_at=16, quiet_at=14, severity="warning"),
    Case("HostDiskSpaceLow", _disk("4x60"), _disk("10x60"), fires_at=6, quiet_at=4, severity="critical"),
    Case("HostDiskSpaceLow", _disk("4x60"), _disk("4x60", TMPFS), fires_at=6, quiet_at=4, severity="critical"),
    Case("HostDiskFillsUp", _disk("39-0.1x200"), _disk("39x400"), fires_at=70, quiet_at=50),
    Case(
        "HostInodesLow",
        {f"node_filesystem_files_free{FILESYSTEM}": "5x60", f"node_filesystem_files{FILESYSTEM}": "100x60"},
        {f"node_filesystem_files_free{FILESYSTEM}": "50x60", f"node_filesystem_files{FILESYSTEM}": "100x60"},
        fires_at=16,
        quiet_at=14,
    ),
    Case(
        "HostFilesystemReadOnly",
        {f"node_filesystem_readonly{FILESYSTEM}": "0x30 1x60"},
        # Mounted read-only on purpose.
        {f"node_filesystem_readonly{FILESYSTEM}": "1x100"},
        fires_at=65,
        quiet_at=30,
    ),
    Case(
        "HostMemoryLow",
        {'node_memory_MemAvailable_bytes{instance="a"}': "5x40", 'node_memory_MemTotal_bytes{instance="a"}': "100x40"},
        {'node_memory_MemAvailable_bytes{instance="a"}': "50x40", 'node_memory_MemTotal_bytes{instance="a"}': "100x40"},
        fires_at=11,
        quiet_at=9,
    ),
    Case(
        "HostOutOfMemoryKill",
        {'node_vmstat_oom_kill{instance="a"}': "0x5 1x20"},
        {'node_vmstat_oom_kill{instance="a"}': "4x40"},
        fires_at=8,
        quiet_at=4,
    ),
    Case(
        "HostCpuBusy",
        {'node_cpu_seconds_total{instance="a",cpu="0",mode="idle"}': "0+1x90"},
        {'node_cpu_seconds_total{instance="a",cpu="0",mode="idle"}': "0+30x90"},
        fires_at=40,
        quiet_at=25,
    ),
    Case(
        "HostClockNotSynchronised",
        {'node_timex_sync_status{instance="a"}': "0x30", 'node_timex_maxerror_seconds{instance="a"}': "16x30"},
        {'node_timex_sync_status{instance="a"}': "1x30", 'node_timex_maxerror_seconds{instance="a"}': "0.1x30"},
        fires_at=11,
        quiet_at=9,
    ),
    Case(
        "HostClockSkew",
        {'node_timex_offset_seconds{instance="a"}': "-0.2x30"},
        {'node_timex_offset_seconds{instance="a"}': "0.001x30"},
        fires_at=11,
        quiet_at=9,
    ),
    Case(
        "HostServiceFailed",
        {'node_systemd_unit_state{instance="a",name="x.service",state="failed"}': "1x30"},
        {'node_systemd_unit_state{instance="a",name="x.service",state="failed"}': "0x30"},
        fires_at=6,
        quiet_at=4,
    ),
    Case(
        "HostTextfileError",
        {'node_textfile_scrape_error{instance="a"}': "1x30"},
        {'node_textfile_scrape_error{instance="a"}': "0x30"},
        fires_at=11,
        quiet_at=9,
    ),
    Case(
        "ProbeFailed",
        {'probe_success{instance="a",probe="p",kind="http"}': "0x10"},
        {'probe_success{instance="a",probe="p",kind="http"}': "1x2 0x1 1x10"},
        fires_at=3,
        quiet_at=1,
    ),
    Case("CertificateExpires", _expiry(20), _expiry(22), fires_at=61, quiet_at=59, severity="info"),
    Case("CertificateExpires", _expiry(6), _expiry(8), fires_at=61, quiet_at=59, severity="warning"),
    Case("CertificateExpires", _expiry(1), _expiry(3), fires_at=11, quiet_at=9, severity="critical"),
    Case("CertificateExpires", _expiry(1), _door(1), fires_at=11, quiet_at=9, severity="critical"),
    Case("FrontDoorCertificateExpires", _door(20), _door(22), fires_at=61, quiet_at=59, severity="info"),
    Case("FrontDoorCertificateExpires", _door(6), _door(8), fires_at=61, quiet_at=59, severity="warning"),
    Case("FrontDoorCertificateExpires", _door(1), _door(3), fires_at=11, quiet_at=9, severity="critical"),
    Case("FrontDoorCertificateExpires", _door(1), _expiry(1), fires_at=11, quiet_at=9, severity="critical"),
)
