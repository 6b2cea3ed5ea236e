"""Faults of form do not hide faults between the sections, and make up none."""

from pathlib import Path

import pytest

from obstack.edges.configfile import FileConfigurations

TEN_FAULTS = """\
domain: mon.test
colour: red
server: {name: Mon}
prometheus:
  scrape_interval: often
  evaluation_interval: 10m
  targets:
    - {job: web, addresses: [web-1.test]}
    - {job: web, addresses: [web-2.test:9100]}
alertmanager:
  port: 9090
  receivers:
    - {name: operators, email: [nobody]}
    - {name: managers}
  routes:
    - {receiver: operator, match: {severity: critical}}
logs: {engine: loki, port: 9115}
"""


def told(folder: Path, text: str) -> list[tuple[int, str]]:
    (folder / "global.yaml").write_text(text, encoding="utf-8")
    return [(problem.line, problem.path) for problem in FileConfigurations(folder).examine().problems]


def test_all_faults_are_told_at_once_in_order_of_place(tmp_path: Path) -> None:
    assert told(tmp_path, TEN_FAULTS) == [
        (2, "colour"),
        (3, "server.name"),
        (5, "prometheus.scrape_interval"),
        (6, "prometheus.evaluation_interval"),
        (8, "prometheus.targets[0].addresses[0]"),
        (9, "prometheus.targets[1].job"),
        (11, "alertmanager.port"),
        (13, "alertmanager.receivers[0].email"),
        (13, "alertmanager.receivers[0].email[0]"),
        (14, "alertmanager.receivers[1]"),
        (16, "alertmanager.routes[0].receiver"),
        (17, "logs.engine"),
        (17, "logs.port"),
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("alertmanager: {receivers: 1, default_receiver: a}", "alertmanager.receivers"),
        (
            "alertmanager: {receivers: [{name: A, webhook: ['http://a.test/']}], default_receiver: a}",
            "alertmanager.receivers[0].name",
        ),
        ("alertmanager: {receivers: [{name: a, webhook: [ftp]}]}", "alertmanager.receivers[0].webhook[0]"),
        (
            "alertmanager: {smtp: 1, receivers: [{name: a, email: [a@a.test]}]}",
            "alertmanager.smtp",
        ),
        (
            "alertmanager: {smtp: {host: a.test, sender: a@a.test, username: a, password: p}}",
            "alertmanager.smtp.password",
        ),
        ("prometheus: 1\nalertmanager: {port: 9090}", "prometheus"),
        ("prometheus: {port: x}\nalertmanager: {port: 9090}", "prometheus.port"),
        ("gates: {deadline: 10s}\nprometheus: {scrape_interval: x}", "prometheus.scrape_interval"),
        ("blackbox: {probes: [{name: a, kind: x, target: 'a.test:1'}]}", "blackbox.probes[0].kind"),
        ("artifacts: {default: {source: x, suite: trixie}}", "artifacts.default.source"),
        ("artifacts: {mirror: '', default: {source: mirror}}", "artifacts.mirror"),
        (
            "front_door: {users: [{name: a, password: secret:a}, {name: A, password: secret:a}]}",
            "front_door.users[1].name",
        ),
        ("server: {labels: {labels: 5}}", "server.labels.labels"),
        ("alertmanager: {routes: [{receiver: a, match: {a: ''}}], receivers: [{name: a, webhook: ['http://a.test/']}]}",
         "alertmanager.routes[0].match.a"),
    ],
)  # fmt: skip
def test_what_a_faulty_value_has_a_part_in_is_not_told(text: str, path: str, tmp_path: Path) -> None:
    assert [told_path for _, told_path in told(tmp_path, f"domain: mon.test\n{text}\n")] == [path]


def test_what_a_key_that_stands_twice_has_a_part_in_is_not_told(tmp_path: Path) -> None:
    text = "domain: mon.test\nprometheus: {port: 9093, port: 9094}\nlogs: {port: 9115}\n"
    assert told(tmp_path, text) == [(2, "prometheus.port"), (3, "logs.port")]
