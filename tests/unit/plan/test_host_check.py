from typing import Any

import pytest

from obstack.agent.wire import Fact
from obstack.plan.host_check import HostNeeds, decide_host_findings
from obstack.plan.preflight import MIB, Finding, Port

GOOD: dict[str, Any] = {
    "os": {"id": "debian", "version": "12", "codename": "bookworm", "name": "Debian 12"},
    "architecture": "amd64",
    "user": 0,
    "manager": "systemd",
    "python": [3, 11, 2],
    "disk": {"total_bytes": 8192 * MIB, "free_bytes": 4096 * MIB},
    "inodes": {"total": 0, "free": 0},
    "memory": {"total_bytes": 512 * MIB, "free_bytes": 256 * MIB},
    "listeners": [{"address": "0.0.0.0", "port": 22, "program": "sshd", "unit": "ssh.service"}],
    "packages": {"nginx": "1.22"},
    "paths": {"/etc/observability-exporters": "absent"},
    "units": {},
    "commands": {"systemctl": "/usr/bin/systemctl"},
    "clock": {"now": 1000.5, "synchronized": True},
}


def judge(**facts: Any) -> dict[str, Finding]:
    known = [Fact(name, "known", value) for name, value in (GOOD | facts).items()]
    needs = HostNeeds(
        "web-1", "bookworm", "amd64", (Port(9100, "node-exporter"),), False, "hosts/web-1.yaml", 1000.0, 1001.0
    )
    return {finding.code: finding for finding in decide_host_findings(known, needs)}


def test_a_good_host_has_no_findings() -> None:
    assert judge() == {}


@pytest.mark.parametrize(
    ("fact", "value", "code", "severity"),
    [
        ("os", {"id": "debian", "version": "13", "codename": "trixie", "name": "Debian 13"}, "suite", "block"),
        ("architecture", "arm64", "platform", "block"),
        ("user", 1000, "not-root", "block"),
        ("manager", "init", "no-systemd", "block"),
        ("python", [3, 9, 2], "python", "block"),
        ("disk", {"total_bytes": 1, "free_bytes": 100 * MIB}, "disk", "block"),
        ("disk", {"total_bytes": 1, "free_bytes": 1024 * MIB}, "disk", "warn"),
        ("memory", {"total_bytes": 64 * MIB, "free_bytes": 0}, "memory", "block"),
        ("clock", {"now": 1007.0, "synchronized": True}, "clocks-apart", "warn"),
        ("clock", {"now": 994.0, "synchronized": True}, "clocks-apart", "warn"),
        ("clock", {"now": 1000.5, "synchronized": False}, "clock", "warn"),
        ("listeners", [{"address": "::", "port": 9100, "program": "x", "unit": "x.service"}], "port-busy", "block"),
        ("units", {"node-exporter": "/etc/systemd/system/node-exporter.service"}, "foreign-unit", "block"),
        ("paths", {"/etc/observability-exporters": "directory"}, "foreign-path", "block"),
        ("commands", {"systemctl": ""}, "command-missing", "block"),
    ],
)
def test_each_fault_is_found_alone_and_has_a_remedy(fact: str, value: Any, code: str, severity: str) -> None:
    found = judge(**{fact: value})
    assert set(found) - {"architecture"} == {code}
    assert found[code].severity == severity
    assert found[code].do


def test_what_could_not_be_looked_at_blocks_and_names_this_command() -> None:
    needs = HostNeeds("web-1", "bookworm", "amd64", (), False, "hosts/web-1.yaml", 0.0, 0.0)
    findings = decide_host_findings(
        [Fact(name, "known", value) for name, value in GOOD.items() if name != "disk"], needs
    )
    (finding,) = [finding for finding in findings if finding.code == "unknown"]
    assert finding.do.endswith("then run: observability host check web-1")
