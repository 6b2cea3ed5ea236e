"""Folders of modules: what is read of them, every problem at its place, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obstack.edges.configfile import FileConfigurations
from obstack.edges.modulefile import examine_module, load_modules, module_names, shipped_folder
from obstack.edges.modulefile.read import KeptValues
from obstack.errors import ConfigurationError, Problem, UsageError

MANIFEST = """\
name: web
title: web
description: Watches the web.
options:
  limit: {type: number, default: 0.5, threshold: true, description: A limit.}
artifact:
  name: web-exporter
  packages: [{name: web-exporter, only: [usr/bin/web]}]
  programs: {web: [usr/bin/web]}
service:
  name: web-exporter
  command: ["${program.web}", "--listen=${listen}", "--queries=${file.queries.yaml}"]
exporter: {key_metric: web_up, port: 9999}
"""
RULES = """\
alerts:
  - {alert: WebDown, expr: "web_up < ${limit}", for: 1m, severity: critical, summary: s, description: d}
"""


def write(folder: Path, **files: str) -> Path:
    contents = {"module.yaml": MANIFEST, "alerts.yaml": RULES, "queries.yaml": "a: 1\n"}
    contents |= {name.replace("__", "/").replace("_yaml", ".yaml"): text for name, text in files.items()}
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def named(service: str) -> str:
    """The manifest with another name of the service."""
    return MANIFEST.replace("  name: web-exporter\n  command", f"  name: {service}\n  command")


def places(problems: tuple[Problem, ...]) -> list[str]:
    return [f"{Path(item.file).name}:{item.line}:{item.column} {item.message}" for item in problems]


def test_everything_of_a_folder_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "web")
    (folder / "runbooks").mkdir()
    (folder / "runbooks/WebDown.md").write_text("# WebDown\n")
    panel = '{"title": "Answers", "description": "d", "kind": "state", "expr": "web_up"}'
    (folder / "dashboard.json").write_text(f'{{"title": "web", "panels": [{panel}]}}')
    (folder / "alerts.test.yaml").write_text("tests: []\n")
    examined = examine_module(folder)
    assert examined.problems == ()
    shipped = examined.shipped
    assert shipped is not None
    assert shipped.module.exporter.port == 9999
    assert shipped.rules.alerts[0].hold == "1m"
    assert shipped.tests == "tests: []\n"
    assert shipped.dashboard is not None
    assert [panel.expr for panel in shipped.dashboard.panels] == ["web_up"]
    assert (shipped.files, shipped.runbooks) == ({"queries.yaml": b"a: 1\n"}, {"WebDown": "# WebDown\n"})
    assert list(shipped.options) == ["limit", "port"]


def test_the_modules_of_this_program_are_read_alike_with_and_without_what_was_kept(tmp_path: Path) -> None:
    first = load_modules(cache=tmp_path)
    assert set(first) == set(module_names(shipped_folder()))
    assert load_modules(cache=tmp_path) == first == load_modules()
    for kept in tmp_path.iterdir():
        kept.write_text('{"name": 1}')
    assert load_modules(cache=tmp_path) == first


def test_what_others_may_write_is_not_believed(tmp_path: Path) -> None:
    place = write(tmp_path / "web")
    kept = KeptValues(tmp_path / "cache")
    assert examine_module(place, kept=kept).problems == ()
    values = next(file for file in (tmp_path / "cache").iterdir() if b'"title"' in file.read_bytes())
    values.write_bytes(values.read_bytes().replace(b'"title": "web"', b'"title": "forged"'))
    believed = examine_module(place, kept=kept).shipped
    assert believed is not None
    assert believed.module.title == "forged"  # what only this user can write
    (tmp_path / "cache").chmod(0o770)
    read = examine_module(place, kept=kept).shipped
    assert read is not None
    assert read.module.title == "web"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (MANIFEST.replace("name: web\n", "name: wob\n"), "module.yaml:1:7 must be web, the name of its folder"),
        (MANIFEST.replace("${listen}", "${lisen}"), "module.yaml:12:31 names ${lisen}, which nothing gives a value"),
        (MANIFEST.replace("${listen}", "$x"), "module.yaml:12:31 holds a dollar sign that stands alone: “$x”"),
        (MANIFEST.replace("${file.queries", "${file.query"), "module.yaml:12:53 names ${file.query.yaml}, which"),
        (MANIFEST.replace("program.web", "program.wob"), "module.yaml:12:13 names ${program.wob}, which nothing"),
        (MANIFEST.replace("port: 9999", "port: 80"), "module.yaml:13:38 must be a whole number from 1024 to 65535"),
        (MANIFEST.replace("default: 0.5", "default: high"), "module.yaml:5:34 must be a number, but is “high”"),
        (MANIFEST.replace("type: number", "type: string"), "module.yaml:5:17 must be integer, number or duration for"),
        (MANIFEST.replace("title: web", "titel: web"), "module.yaml:0:0 is required"),
        (MANIFEST.replace("limit:", "etc:"), "module.yaml:5:8 must not be called etc, which every template knows"),
        (MANIFEST.replace("port: 9999", "tls: proxy, port: 9999"), "module.yaml:13:11 is required with tls: proxy"),
        (
            MANIFEST.replace("port: 9999", "through: node, port: 9999"),
            "module.yaml:13:53 must not be given: its series",
        ),
        (named("w" * 33), "module.yaml:11:9 must have at most 32 characters"),
        (named("web\n  after: [web.service]"), "module.yaml:11:9 must not be web, which is another unit's name"),
        (named("exporter-proxy"), "module.yaml:11:9 must not be exporter-proxy"),
        (MANIFEST.replace("title: web", "title: *web"), "module.yaml:2:8 aliases (*name) are not allowed"),
        (
            MANIFEST + "files: [{path: a.ini, format: ini, content: [1]}]\n",
            "module.yaml:14:45 must be a mapping of sections, each a mapping of settings for the format ini",
        ),
        (
            MANIFEST + "files: [{path: a.conf, format: nginx, content: [[server, [[x, 1.5]]]]}]\n",
            "module.yaml:14:48 must be a list of directives",
        ),
    ],
)
def test_a_slip_in_a_manifest_is_told_at_its_place(tmp_path: Path, wrong: str, problem: str) -> None:
    told = places(examine_module(write(tmp_path / "web", module_yaml=wrong)).problems)
    assert any(line.startswith(problem) for line in told), told


def test_a_secret_is_refused_where_everybody_sees_it(tmp_path: Path) -> None:
    secret = "options:\n  word: {type: secret, description: A word.}\n"
    wrong = MANIFEST.replace("options:\n", secret).replace("${listen}", "${word}")
    (problem, *_) = examine_module(write(tmp_path / "web", module_yaml=wrong)).problems
    assert problem.message == "shows the secret word to everybody on the machine"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (RULES.replace("${limit}", "${lmit}"), "alerts.yaml:2:28 names ${lmit}, which nothing gives a value"),
        (RULES.replace("${limit}", "${port}"), "alerts.yaml:2:28 names ${port}, which nothing gives a value"),
        (RULES.replace("${limit}", "1"), "alerts.yaml:2:3 no alert uses the threshold limit"),
        (RULES.replace("critical", "fatal"), "alerts.yaml:2:68 must be critical, warning or info, but is “fatal”"),
        (RULES.replace("for: 1m", "fro: 1m"), "alerts.yaml:2:49 is not a known key"),
        (RULES + RULES.partition("\n")[2], "alerts.yaml:3:13 WebDown of severity critical is alerts[0] already"),
    ],
)
def test_a_slip_in_the_alerts_is_told_at_its_place(tmp_path: Path, wrong: str, problem: str) -> None:
    told = places(examine_module(write(tmp_path / "web", alerts_yaml=wrong)).problems)
    assert any(line.startswith(problem) for line in told), told


def test_links_odd_names_and_broken_json_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "web")
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "a b").write_text("")
    (folder / "dashboard.json").write_text('{"a": 1,\n')
    os.mkfifo(folder / "pipe")
    assert places(examine_module(folder).problems) == [
        "a b:0:0 has a name that is not allowed",
        "passwd:0:0 is not a plain file",
        "pipe:0:0 is not a plain file",
        "dashboard.json:2:1 a bracket is not closed",
    ]


def test_further_modules_come_beside_the_others(tmp_path: Path) -> None:
    write(tmp_path / "web")
    modules = load_modules(tmp_path)
    assert modules["web"].folder == str(tmp_path / "web")
    assert modules["nginx"].folder == "modules/nginx"


def test_a_further_module_cannot_take_a_name_or_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    write(folder / "nginx")
    write(folder / "Web")
    write(tmp_path / "web")
    (folder / "web").symlink_to(tmp_path / "web")
    with pytest.raises(ConfigurationError) as caught:
        load_modules(folder)
    assert places(caught.value.problems) == [
        "Web:0:0 has a name that is not allowed for a module",
        "nginx:0:0 nginx is the name of a module that there is already",
        "web:0:0 leads out of the folder of modules",
    ]
    with pytest.raises(UsageError, match="does not exist"):
        load_modules(tmp_path / "nowhere")


def test_a_configuration_is_judged_with_its_modules(tmp_path: Path) -> None:
    start = "domain: mon.a.test\nserver: {address: 192.0.2.1}\n"
    (tmp_path / "global.yaml").write_text(f"{start}modules: {{folder: more}}\n")
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts/web-1.yaml").write_text("address: 192.0.2.2\nmodules:\n  web: {options: {limt: 1}}\n  ngnix:\n")
    examined = FileConfigurations(tmp_path).examine().problems
    assert places(examined) == [f"global.yaml:3:19 {tmp_path}/more is not a folder"]
    write(tmp_path / "more/web")
    examined = FileConfigurations(tmp_path).examine().problems
    assert places(examined) == [
        "web-1.yaml:3:19 limt is not an option of web",
        "web-1.yaml:4:3 ngnix is not a module",
    ]
    assert "Did you mean nginx?" in examined[1].remedy
    write(tmp_path / "more/web", module_yaml=MANIFEST.replace("title: web", "title: 1"))
    assert places(FileConfigurations(tmp_path).examine().problems) == [
        "module.yaml:2:8 must be one line of text without control characters, but is the number 1"
    ]
