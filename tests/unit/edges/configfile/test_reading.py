from pathlib import Path

import pytest

from obstack.edges.configfile import FileConfigurations
from obstack.errors import ConfigurationError
from obstack.model.loaded import LoadedConfiguration

BASE = """\
domain: mon.test
prometheus:
  port: 9191
  external_labels:
    region: eu
    rack: a1
alertmanager:
  receivers:
    - name: operators
      webhook: [https://hooks.test/a]
"""


def read(folder: Path, text: str | bytes, **overlays: str) -> FileConfigurations:
    (folder / "environments").mkdir(parents=True, exist_ok=True)
    (folder / "global.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, overlay in overlays.items():
        (folder / "environments" / f"{name}.yaml").write_text(overlay, encoding="utf-8")
    return FileConfigurations(folder)


def load(folder: Path, text: str | bytes, environment: str | None = None, **overlays: str) -> LoadedConfiguration:
    return read(folder, text, **overlays).load(environment)


def origin(loaded: LoadedConfiguration, folder: Path, *path: str | int) -> str:
    return loaded.origins[path].place.removeprefix(f"{folder}/")


def test_a_value_knows_its_file_line_and_column(tmp_path: Path) -> None:
    loaded = load(tmp_path, BASE)
    assert loaded.site.prometheus.port == 9191
    assert origin(loaded, tmp_path, "prometheus", "port") == "global.yaml:3:9"
    assert origin(loaded, tmp_path, "alertmanager", "receivers", 0, "webhook", 0) == "global.yaml:10:17"
    assert ("logs", "port") not in loaded.origins


def test_an_overlay_merges_mappings_and_replaces_lists_and_values(tmp_path: Path) -> None:
    overlay = """\
prometheus:
  external_labels:
    rack: b2
alertmanager:
  receivers:
    - name: nightwatch
      webhook: [https://hooks.test/b]
"""
    loaded = load(tmp_path, BASE, "staging", staging=overlay)
    assert loaded.site.prometheus.port == 9191
    assert loaded.site.prometheus.external_labels == {"region": "eu", "rack": "b2"}
    assert [receiver.name for receiver in loaded.site.alertmanager.receivers] == ["nightwatch"]
    assert origin(loaded, tmp_path, "prometheus", "external_labels", "region") == "global.yaml:5:13"
    assert origin(loaded, tmp_path, "prometheus", "external_labels", "rack") == "environments/staging.yaml:3:11"
    assert origin(loaded, tmp_path, "alertmanager", "receivers", 0, "name") == "environments/staging.yaml:6:13"
    assert loaded.files == (str(tmp_path / "global.yaml"), str(tmp_path / "environments/staging.yaml"))


def test_an_overlay_names_the_environment_unless_it_says_so_itself(tmp_path: Path) -> None:
    configurations = read(tmp_path, BASE, staging="domain: b.test\n", drill="environment: staging\n")
    assert configurations.load(None).site.environment == "production"
    assert configurations.load("staging").site.environment == "staging"
    assert configurations.load("drill").site.environment == "staging"


def test_a_key_without_a_value_changes_nothing_and_null_takes_away(tmp_path: Path) -> None:
    base = BASE + "  default_receiver: operators\n"
    configurations = read(tmp_path, base, a="prometheus:\nlogs:\n", b="alertmanager: {default_receiver: null}\n")
    assert configurations.load("a").site.prometheus.port == 9191
    assert configurations.load("a").site.logs.retention_time == "30d"
    assert configurations.load("b").site.alertmanager.default_receiver is None


def test_an_example_name_is_fine_outside_production(tmp_path: Path) -> None:
    assert load(tmp_path, "domain: mon.example.org\nenvironment: drill\n").site.domain == "mon.example.org"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    loaded = load(tmp_path, b"\xef\xbb\xbfdomain: mon.test\r\nname: a\r\n")
    assert (loaded.site.domain, loaded.site.name) == ("mon.test", "a")


def test_words_that_other_yaml_readers_take_for_something_else_stay_words(tmp_path: Path) -> None:
    loaded = load(tmp_path, "domain: mon.test\nserver: {labels: {a: no, b: 2026-01-02, c: 1.2.3, d: 12:30}}\n")
    assert loaded.site.server.labels == {"a": "no", "b": "2026-01-02", "c": "1.2.3", "d": "12:30"}


def test_an_old_directive_changes_no_value(tmp_path: Path) -> None:
    loaded = load(tmp_path, "%YAML 1.1\n---\ndomain: mon.test\nserver: {labels: {a: yes, b: 12:30, c: 010}}\n")
    assert loaded.site.server.labels == {"a": "yes", "b": "12:30", "c": "010"}


def test_a_number_with_a_leading_zero_is_not_guessed_at(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "domain: mon.test\nprometheus: {port: 09090}\n").examine().problems
    assert problem.message == "must be a whole number from 1024 to 65535, but is “09090”"


def test_broken_rules_do_not_hide_each_other(tmp_path: Path) -> None:
    text = """\
domain: mon.test
prometheus: {port: 9093, scrape_interval: 10m, retention_time: 1h, external_labels: {host: a}}
alertmanager: {default_receiver: nowhere, repeat_interval: 1m, receivers: [{name: a}, {name: a}]}
blackbox: {probes: [{name: a, target: b}]}
front_door: {http_port: 443}
artifacts: {components: {nosuch: {}}, default: {source: mirror}}
"""
    assert [(problem.line, problem.path) for problem in read(tmp_path, text).examine().problems] == [
        (2, "alertmanager.port"),
        (2, "prometheus.scrape_interval"),
        (2, "prometheus.retention_time"),
        (2, "prometheus.external_labels.host"),
        (3, "alertmanager.default_receiver"),
        (3, "alertmanager.repeat_interval"),
        (3, "alertmanager.receivers[0]"),
        (3, "alertmanager.receivers[1]"),
        (3, "alertmanager.receivers[1].name"),
        (4, "blackbox.probes[0].target"),
        (5, "front_door.http_port"),
        (6, "artifacts.components.nosuch"),
        (6, "artifacts.default.source"),
    ]


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"domain: a.test\nname: caf\xe9\n", ":2:10", "is not UTF-8: the byte 0xe9 cannot be read"),
        (b"domain: a.test\nname: a\x07b\n", ":2:8", "holds a control character that YAML forbids"),
        (b"#" * 300_000, "", "is 262145 bytes long; a configuration file has at most 262144"),
        (b"a: " + b"[" * 1200, "", "is nested too deeply"),
        (b"\xff\xfe\x00", ":1:1", "is not UTF-8: the byte 0xff cannot be read"),
    ],
    ids=["latin1", "bell", "huge", "bottomless", "utf-16"],
)
def test_what_is_no_text_is_refused_at_its_place(tmp_path: Path, content: bytes, place: str, message: str) -> None:
    (problem,) = read(tmp_path, content).examine().problems
    assert (problem.place, problem.message) == (f"{tmp_path / 'global.yaml'}{place}", message)


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "global.yaml").mkdir()
    assert [problem.message for problem in FileConfigurations(tmp_path).examine().problems] == [
        "is a folder, not a file"
    ]


def test_problems_of_both_files_are_shown_at_once_in_order(tmp_path: Path) -> None:
    configurations = read(tmp_path, "domain: a.test\na: &x 1\nb: &y 2\n", staging="- c\n")
    with pytest.raises(ConfigurationError) as caught:
        configurations.load("staging")
    assert [problem.place.rpartition("/")[2] for problem in caught.value.problems] == [
        "global.yaml:2:4",
        "global.yaml:3:4",
        "staging.yaml:1:1",
    ]
    assert caught.value.exit_code == 2


def test_types_rules_and_suspicions_of_one_file_come_in_the_order_of_lines(tmp_path: Path) -> None:
    text = "server: {labels: {team: CHANGE_ME}}\ndomain: mon.example.org\nlogs: {port: 9090}\n"
    problems = read(tmp_path, text).examine().problems
    assert [(problem.line, problem.path) for problem in problems] == [
        (1, "server.labels.team"),
        (2, "domain"),
        (3, "logs.port"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "front_door: {users: [{name: a, password: hunter2}]}\n",
        "front_door:\n  users:\n    - name: a\n      password: 'hunter2 hunter2'\n",
        "front_door:\n  users:\n    - name: a\n      password:\n        hunter2\n",
        "front_door:\n  users:\n    - name: a\n      password: <hunter2>\n",
        "smtp_password: hunter2\n",
        "alertmanager:\n  smtp: {host: a.test, password: hunter2, sendr: a}\n",
        "alertmanager:\n  receivers: [{name: a, webhook: ['https://joe:hunter2@a.test/']}]\n",
        "front_door: {password: hunter2, password: hunter2}\n",
        "api_key: hunter2: x\n",
        "token: 'hunter2\n",
    ],
)
def test_no_message_and_no_excerpt_shows_a_secret(tmp_path: Path, text: str) -> None:
    problems = read(tmp_path, "domain: mon.test\n" + text).examine().problems
    assert problems
    assert "hunter2" not in repr([vars(problem) for problem in problems])


def test_the_source_line_is_shown_as_it_stands(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "domain: mon.test\nlogs: {engine: loki}\n").examine().problems
    assert (problem.excerpt, problem.column) == ("logs: {engine: loki}", 16)
