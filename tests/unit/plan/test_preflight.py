from dataclasses import replace
from typing import Any

import pytest

from obstack.agent.wire import Fact
from obstack.errors import WHOLE_FILE, Problem
from obstack.plan.preflight import (
    ADVICE,
    GIB,
    JUDGES,
    MIB,
    QUESTIONS,
    SERVER_ONLY,
    Finding,
    Needs,
    Port,
    blocked,
    configuration_findings,
    decide_findings,
)

NEEDS = Needs(node="mon-1", domain="observability.example.org", ports=(Port(443, "nginx"), Port(9090, "prometheus")))

GOOD: dict[str, Any] = {
    "os": {"id": "debian", "version": "13", "codename": "trixie", "name": "Debian GNU/Linux 13 (trixie)"},
    "architecture": "amd64",
    "user": 0,
    "manager": "systemd",
    "systemd": 257,
    "python": [3, 13, 5],
    "disk": {"total_bytes": 100 * GIB, "free_bytes": 50 * GIB},
    "inodes": {"total": 1_000_000, "free": 900_000},
    "memory": {"total_bytes": 4 * GIB, "free_bytes": 3 * GIB},
    "listeners": [{"address": "0.0.0.0", "port": 22, "program": "sshd", "unit": "ssh.service"}],
    "packages": {},
    "paths": {"/etc/prometheus": "absent", "/etc/nginx": "ours"},
    "units": {},
    "commands": {"systemctl": "/usr/bin/systemctl"},
    "ipv6": True,
    "clock": {"now": 1800000000, "synchronized": True},
    "domain": ["192.0.2.10"],
}


def facts(**changes: Any) -> list[Fact]:
    values = GOOD | changes
    return [Fact(name, "absent" if value is None else "known", value) for name, value in values.items()]


def judge(needs: Needs = NEEDS, **changes: Any) -> tuple[Finding, ...]:
    return decide_findings(facts(**changes), needs)


def test_a_good_machine_has_no_findings() -> None:
    assert judge() == ()


def test_a_front_door_on_ipv6_needs_it() -> None:
    assert judge(ipv6=False) == ()
    (finding,) = judge(replace(NEEDS, ipv6=True), ipv6=False)
    assert (finding.code, finding.severity) == ("no-ipv6", "block")
    assert "ipv6: false" in finding.do


def test_encrypted_credentials_need_a_systemd_that_decrypts_them() -> None:
    needs = replace(NEEDS, encrypted=("smtp-password",))
    assert judge(needs, systemd=250) == ()
    assert judge(systemd=249) == ()
    (finding,) = judge(needs, systemd=249)
    assert (finding.code, finding.severity) == ("systemd", "block")
    assert "smtp-password" in finding.where


def test_every_fact_has_a_judge_and_a_question() -> None:
    assert set(JUDGES) == set(QUESTIONS) == set(GOOD)
    assert set(JUDGES) >= SERVER_ONLY


@pytest.mark.parametrize(
    ("fact", "value", "code", "severity"),
    [
        ("os", {"id": "fedora", "version": "42", "name": "Fedora Linux 42"}, "system", "block"),
        ("os", None, "system", "block"),
        ("os", {"id": "debian", "version": "11", "name": "Debian GNU/Linux 11"}, "system", "warn"),
        ("os", {"id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04 LTS"}, "system", "warn"),
        ("architecture", "arm64", "architecture", "warn"),
        ("architecture", "riscv64", "architecture", "block"),
        ("user", 1000, "not-root", "block"),
        ("manager", "init", "no-systemd", "block"),
        ("manager", None, "no-systemd", "block"),
        ("python", [3, 9, 2], "python", "block"),
        ("python", None, "python", "block"),
        ("disk", {"total_bytes": 3 * GIB, "free_bytes": GIB}, "disk", "block"),
        ("disk", {"total_bytes": 9 * GIB, "free_bytes": 5 * GIB}, "disk", "warn"),
        ("inodes", {"total": 1000, "free": 10}, "inodes", "block"),
        ("memory", {"total_bytes": 256 * MIB, "free_bytes": 0}, "memory", "block"),
        ("memory", {"total_bytes": 900 * MIB, "free_bytes": 0}, "memory", "warn"),
        ("packages", {"nginx": "1.26.3-3"}, "foreign-package", "block"),
        ("paths", {"/etc/prometheus": "directory"}, "foreign-path", "block"),
        ("paths", {"/etc/prometheus": "link"}, "foreign-path", "block"),
        ("units", {"prometheus": "/usr/lib/systemd/system/prometheus.service"}, "foreign-unit", "block"),
        ("clock", {"now": 0, "synchronized": False}, "clock", "warn"),
        ("clock", None, "clock", "warn"),
        ("commands", {"systemctl": ""}, "command-missing", "block"),
        ("domain", None, "domain", "warn"),
    ],
)
def test_each_fault_is_found_alone_and_has_a_remedy(fact: str, value: Any, code: str, severity: str) -> None:
    (finding,) = judge(**{fact: value})
    assert (finding.code, str(finding.severity)) == (code, severity)
    assert finding.what.endswith(".")
    assert finding.do
    assert finding.where


def test_inodes_are_not_judged_where_the_file_system_does_not_count_them() -> None:
    assert judge(inodes={"total": 0, "free": 0}) == ()


def test_retention_larger_than_the_disk_is_warned_about() -> None:
    (finding,) = judge(replace(NEEDS, retention_bytes=80 * GIB))
    assert finding.code == "retention"


@pytest.mark.parametrize("name", JUDGES)
def test_what_could_not_be_looked_at_blocks(name: str) -> None:
    known = [fact for fact in facts() if fact.name != name]
    for unseen in (known, [*known, Fact(name, "unknown", reason="permission denied")]):
        (finding,) = decide_findings(unseen, NEEDS)
        assert finding.code == "unknown"
        assert blocked([finding]) is (name not in ADVICE)


class TestPorts:
    STRANGER: tuple[dict[str, Any], ...] = (
        {"address": "0.0.0.0", "port": 443, "program": "apache2", "unit": "apache2.service"},
        {"address": "::", "port": 443, "program": "apache2", "unit": "apache2.service"},
    )
    OURS: tuple[dict[str, Any], ...] = (
        {"address": "0.0.0.0", "port": 443, "program": "nginx", "unit": "nginx.service"},
    )

    def test_a_stranger_on_a_wanted_port_blocks_once_and_is_named(self) -> None:
        (finding,) = judge(listeners=list(self.STRANGER))
        assert "apache2.service" in finding.what
        assert finding.do == "systemctl disable --now apache2.service"

    def test_our_own_unit_may_hold_its_port_once_installed(self) -> None:
        assert judge(replace(NEEDS, installed=True), listeners=list(self.OURS)) == ()

    def test_a_unit_of_the_same_name_is_a_stranger_before_that(self) -> None:
        (finding,) = judge(listeners=list(self.OURS))
        assert finding.code == "port-busy"

    def test_an_invisible_owner_is_said_to_be_invisible(self) -> None:
        (finding,) = judge(listeners=[{"address": "::", "port": 9090, "program": "", "unit": ""}])
        assert "cannot be seen" in finding.what


def test_a_private_root_needs_neither_root_nor_systemd() -> None:
    strange: dict[str, Any] = {
        "user": 1000,
        "manager": "bash",
        "packages": {"nginx": "1"},
        "paths": {"/etc/nginx": "directory"},
        "units": {"nginx": "/x"},
        "clock": None,
        "domain": None,
    }
    assert judge(replace(NEEDS, private=True), **strange) == ()
    assert {finding.code for finding in judge(**strange)} >= {"not-root", "no-systemd", "foreign-package"}


def test_blocking_findings_come_first() -> None:
    findings = judge(clock=None, python=[3, 8, 0])
    assert [str(finding.severity) for finding in findings] == ["block", "warn"]


def test_faults_of_the_configuration_are_findings_too() -> None:
    problem = Problem("config/global.yaml", 3, 9, "domain", "is missing", "add it")
    (finding,) = configuration_findings([problem])
    assert blocked([finding])
    assert finding.where == "config/global.yaml:3:9"
    missing = Problem("config/global.yaml", 0, 0, "domain", "is required", "add it")
    whole = Problem("config/global.yaml", 0, 0, WHOLE_FILE, "does not exist", "make it")
    assert [finding.what for finding in configuration_findings([missing, whole])] == [
        "domain: is required",
        "The file config/global.yaml does not exist.",
    ]


def test_without_a_valid_configuration_the_machine_is_judged_all_the_same() -> None:
    needs = Needs("mon-1", None, ())
    assert decide_findings([fact for fact in facts() if fact.name != "domain"], needs) == ()
    (finding,) = decide_findings(facts(python=[3, 8, 0]), needs)
    assert finding.code == "python"
