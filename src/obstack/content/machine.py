"""Alerts and recorded series about machines, from the node exporter."""

from __future__ import annotations

from typing import Final

from obstack.content.rules import Alert, Group, Recording, Severity

# File systems that live in memory or are images cannot be emptied by anybody.
REAL: Final = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|overlay|nsfs|fuse.*"'

MACHINE: Final = Group(
    "machine",
    (
        Recording(
            "instance:node_cpu_busy:ratio_rate5m",
            '1 - avg without (cpu, mode) (rate(node_cpu_seconds_total{mode="idle"}[5m]))',
        ),
        Recording(
            "instance:node_memory_available:ratio",
            "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
        ),
        Recording(
            "instance_device:node_filesystem_free:ratio",
            f"node_filesystem_avail_bytes{{{REAL}}} / node_filesystem_size_bytes{{{REAL}}}",
        ),
        Alert(
            name="HostDiskSpaceLow",
            expression="instance_device:node_filesystem_free:ratio < 0.15",
            hold="15m",
            severity=Severity.WARNING,
            summary="{{ $labels.mountpoint }} on {{ $labels.instance }} is nearly full",
            description="{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} is free.",
        ),
        Alert(
            name="HostDiskSpaceLow",
            expression="instance_device:node_filesystem_free:ratio < 0.05",
            hold="5m",
            severity=Severity.CRITICAL,
            summary="{{ $labels.mountpoint }} on {{ $labels.instance }} is full",
            description="{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} is free.",
        ),
        Alert(
            name="HostDiskFillsUp",
            expression=(
                "instance_device:node_filesystem_free:ratio < 0.4"
                f" and predict_linear(node_filesystem_avail_bytes{{{REAL}}}[6h], 86400) < 0"
            ),
            hold="1h",
            severity=Severity.WARNING,
            summary="{{ $labels.mountpoint }} on {{ $labels.instance }} will be full within a day",
            description="At the pace of the last 6 h no space is left on {{ $labels.mountpoint }} in 24 h.",
        ),
        Alert(
            name="HostInodesLow",
            expression=f"node_filesystem_files_free{{{REAL}}} / node_filesystem_files{{{REAL}}} < 0.1",
            hold="15m",
            severity=Severity.WARNING,
            summary="{{ $labels.mountpoint }} on {{ $labels.instance }} runs out of inodes",
            description="{{ $value | humanizePercentage }} of the inodes of {{ $labels.mountpoint }} are free.",
        ),
        Alert(
            name="HostFilesystemReadOnly",
            expression=(
                f"node_filesystem_readonly{{{REAL}}} == 1 and node_filesystem_readonly{{{REAL}}} offset 1h == 0"
            ),
            hold="0s",
            severity=Severity.CRITICAL,
            summary="{{ $labels.mountpoint }} on {{ $labels.instance }} became read-only",
            description="The kernel stopped writing to {{ $labels.device }}, usually after an error of the disk.",
        ),
        Alert(
            name="HostMemoryLow",
            expression="instance:node_memory_available:ratio < 0.1",
            hold="10m",
            severity=Severity.WARNING,
            summary="{{ $labels.instance }} has little memory left",
            description="{{ $value | humanizePercentage }} of the memory is available.",
        ),
        Alert(
            name="HostOutOfMemoryKill",
            expression="increase(node_vmstat_oom_kill[10m]) > 0",
            hold="0s",
            severity=Severity.WARNING,
            summary="The kernel of {{ $labels.instance }} killed a process for lack of memory",
            description="{{ $value | humanize }} processes were killed within 10 minutes.",
        ),
        Alert(
            name="HostCpuBusy",
            expression="instance:node_cpu_busy:ratio_rate5m > 0.9",
            hold="30m",
            severity=Severity.WARNING,
            summary="The processors of {{ $labels.instance }} are busy",
            description="They have been busy {{ $value | humanizePercentage }} of the time for half an hour.",
        ),
        Alert(
            name="HostClockNotSynchronised",
            expression="min_over_time(node_timex_sync_status[5m]) == 0 and node_timex_maxerror_seconds >= 16",
            hold="10m",
            severity=Severity.WARNING,
            summary="The clock of {{ $labels.instance }} is not synchronised",
            description="No time source answers, so the clock drifts away.",
        ),
        Alert(
            name="HostClockSkew",
            expression="abs(node_timex_offset_seconds) > 0.05",
            hold="10m",
            severity=Severity.WARNING,
            summary="The clock of {{ $labels.instance }} is wrong",
            description="It is off by {{ $value | humanizeDuration }}.",
        ),
        Alert(
            name="HostServiceFailed",
            expression='node_systemd_unit_state{state="failed"} == 1',
            hold="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.name }} failed on {{ $labels.instance }}",
            description="systemd gave up on {{ $labels.name }}.",
        ),
        Alert(
            name="HostTextfileError",
            expression="node_textfile_scrape_error == 1",
            hold="10m",
            severity=Severity.WARNING,
            summary="A metrics file on {{ $labels.instance }} cannot be read",
            description="A file in the node exporter's text file folder is broken; the metrics of all are in doubt.",
        ),
    ),
)
