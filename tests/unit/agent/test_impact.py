"""The truth table of impact: what a change means for each unit, and what it must not mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from obstack.agent import impact, wire


def file(path: str, content: str = "a") -> wire.FileEntry:
    return wire.FileEntry(path, content * 64, 1, 0o644)


def artifact(name: str, content: str = "a") -> wire.ArtifactEntry:
    return wire.ArtifactEntry(name, "1", (wire.ArchiveEntry(name, content * 64, 1, "deb"),))


PROMETHEUS = wire.UnitEntry(
    "prometheus",
    "units/prometheus.service",
    inputs=(
        wire.InputEntry("etc/prometheus/targets/", "none"),
        wire.InputEntry("etc/prometheus/web.yml", "restart"),
        wire.InputEntry("etc/prometheus/", "reload"),
        wire.InputEntry("artifact:prometheus", "restart"),
    ),
    reload=wire.ReloadEntry("signal", "HUP"),
    state=wire.StateEntry("/var/lib/prometheus", "one"),
)
EXPORTER = wire.UnitEntry(
    "node-exporter",
    "units/node-exporter.service",
    inputs=(wire.InputEntry("artifact:node-exporter", "restart"), wire.InputEntry("etc/exporter.yml", "reload")),
)
NGINX = wire.UnitEntry(
    "nginx",
    "units/nginx.service",
    after=("prometheus",),
    inputs=(wire.InputEntry("etc/nginx/", "reload"),),
    reload=wire.ReloadEntry("signal", "HUP"),
)
JOURNALD = wire.UnitEntry("systemd-journald", "", inputs=(wire.InputEntry("etc/journald.conf", "restart"),))
RECOVER = wire.UnitEntry("observability-recover", "units/observability-recover.service", boot_only=True)

FILES = (
    "etc/prometheus/prometheus.yml",
    "etc/prometheus/web.yml",
    "etc/prometheus/targets/node.json",
    "etc/nginx/nginx.conf",
    "etc/exporter.yml",
    "etc/journald.conf",
    "etc/unread.txt",
    *(unit.file for unit in (PROMETHEUS, EXPORTER, NGINX, RECOVER)),
)
NODE = wire.Manifest(
    "web-1",
    "observability",
    "systemd",
    files=tuple(file(path) for path in FILES),
    artifacts=(artifact("prometheus"), artifact("node-exporter"), artifact("nginx")),
    links=(wire.LinkEntry("/etc/prometheus", "etc/prometheus"), wire.LinkEntry("/etc/nginx", "etc/nginx")),
    units=(NGINX, PROMETHEUS, EXPORTER, JOURNALD, RECOVER),
)
ALL = frozenset(unit.name for unit in NODE.units)


def changed(*paths: str) -> wire.Manifest:
    return replace(NODE, files=tuple(file(f.path, "b") if f.path in paths else f for f in NODE.files))


def acting(actions: tuple[wire.Action, ...]) -> dict[str, str]:
    return {action.unit: action.action for action in actions if action.action != "none"}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), {}),
        (("etc/unread.txt",), {}),
        (("etc/prometheus/targets/node.json",), {}),
        (("etc/prometheus/prometheus.yml",), {"prometheus": "reload"}),
        (("etc/prometheus/web.yml",), {"prometheus": "restart"}),
        (("etc/prometheus/prometheus.yml", "etc/prometheus/web.yml"), {"prometheus": "restart"}),
        (("etc/nginx/nginx.conf",), {"nginx": "reload"}),
        (("etc/exporter.yml",), {"node-exporter": "restart"}),  # it knows no way to reload
        (("units/nginx.service",), {"nginx": "restart"}),
        (("etc/journald.conf",), {"systemd-journald": "restart"}),
        (("units/observability-recover.service",), {}),
        (
            ("etc/prometheus/prometheus.yml", "etc/nginx/nginx.conf"),
            {"prometheus": "reload", "nginx": "reload"},
        ),
    ],
)
def test_changed_files(paths: tuple[str, ...], expected: dict[str, str]) -> None:
    assert acting(impact.decide(NODE, changed(*paths), (), ALL)) == expected


def test_a_changed_artifact_restarts_its_own_unit_alone() -> None:
    new = replace(NODE, artifacts=(artifact("prometheus", "b"), *NODE.artifacts[1:]))
    assert acting(impact.decide(NODE, new, (), ALL)) == {"prometheus": "restart"}


def test_a_new_version_name_of_the_same_archives_changes_nothing() -> None:
    new = replace(NODE, artifacts=tuple(replace(a, version="2") for a in NODE.artifacts))
    assert acting(impact.decide(NODE, new, (), ALL)) == {}


@pytest.mark.parametrize("change", [{"mode": 0o600}, {"owner": "nginx"}, {"group": "nginx"}])
def test_a_changed_mode_or_owner_is_a_change(change: dict[str, object]) -> None:
    new = replace(
        NODE,
        files=tuple(replace(f, **change) if f.path == "etc/nginx/nginx.conf" else f for f in NODE.files),  # type: ignore[arg-type]
    )
    assert acting(impact.decide(NODE, new, (), ALL)) == {"nginx": "reload"}


def test_a_file_that_comes_or_goes_is_a_change() -> None:
    more = replace(NODE, files=(*NODE.files, file("etc/prometheus/rules.yml")))
    assert acting(impact.decide(NODE, more, (), ALL)) == {"prometheus": "reload"}
    assert acting(impact.decide(more, NODE, (), ALL)) == {"prometheus": "reload"}


def test_the_first_generation_starts_everything_after_what_it_needs() -> None:
    actions = impact.decide(None, NODE)
    assert acting(actions) == {
        "prometheus": "start",
        "nginx": "start",
        "node-exporter": "start",
        "systemd-journald": "restart",
    }
    order = [action.unit for action in actions]
    assert order.index("prometheus") < order.index("nginx")


def test_going_to_nothing_stops_everything_before_what_it_needs() -> None:
    actions = impact.decide(NODE, None, (), ALL)
    assert acting(actions) == {
        "prometheus": "stop",
        "nginx": "stop",
        "node-exporter": "stop",
        "systemd-journald": "restart",
    }
    order = [action.unit for action in actions]
    assert order.index("nginx") < order.index("prometheus")


def test_a_unit_that_leaves_is_stopped_first_and_one_that_comes_is_started() -> None:
    new = replace(NODE, units=(PROMETHEUS, wire.UnitEntry("blackbox", EXPORTER.file)))
    actions = impact.decide(replace(NODE, units=(NGINX, PROMETHEUS)), new, (), {"nginx", "prometheus"})
    assert [(a.unit, a.action) for a in actions] == [("nginx", "stop"), ("prometheus", "none"), ("blackbox", "start")]


def test_a_stopped_unit_is_started_and_nothing_else() -> None:
    assert acting(impact.decide(NODE, NODE, (), ALL - {"nginx"})) == {"nginx": "start"}
    assert acting(impact.decide(NODE, changed("etc/nginx/nginx.conf"), (), ALL - {"nginx"})) == {"nginx": "start"}


def test_a_new_unit_whose_name_runs_already_is_restarted() -> None:
    old = replace(NODE, units=(PROMETHEUS,))
    assert acting(impact.decide(old, replace(NODE, units=(PROMETHEUS, NGINX)), (), ALL)) == {"nginx": "restart"}


@pytest.mark.parametrize(
    ("kind", "subject", "expected"),
    [
        ("unit-undone", "nginx", {"nginx": "reload"}),
        ("unit-undone", "observability-recover", {}),
        ("file-changed", "etc/prometheus/prometheus.yml", {"prometheus": "reload"}),
        ("file-missing", "etc/nginx/nginx.conf", {"nginx": "reload"}),
        ("file-changed", "etc/nginx/added-by-hand.conf", {"nginx": "reload"}),
        ("mode-changed", "etc/nginx/nginx.conf", {}),
        ("owner-changed", "etc/nginx/nginx.conf", {}),
        ("link-missing", "/etc/nginx", {}),
        ("link-changed", "/etc/nginx", {"nginx": "reload"}),
        ("unit-file-changed", "nginx", {"nginx": "restart"}),
        ("unit-disabled", "nginx", {}),
        ("artifact-changed", "prometheus", {"prometheus": "restart"}),
        ("directory-missing", "/var/lib/prometheus", {"prometheus": "restart"}),
        ("directory-missing", "/var/lib/other", {}),
        ("user-missing", "prometheus", {}),
    ],
)
def test_drift(kind: str, subject: str, expected: dict[str, str]) -> None:
    assert acting(impact.decide(NODE, NODE, (wire.Drift(kind, subject, ""),), ALL)) == expected


def test_doing_nothing_is_explained_too() -> None:
    reasons = {a.unit: a.reason for a in impact.decide(NODE, changed("etc/prometheus/targets/node.json"), (), ALL)}
    assert reasons["prometheus"] == "etc/prometheus/targets/node.json changed, which it takes up by itself"
    assert reasons["nginx"] == "nothing that it reads changed"
    assert reasons["observability-recover"] == "it runs only at boot"


def test_the_strongest_cause_is_the_one_that_is_told() -> None:
    (action,) = (
        a
        for a in impact.decide(NODE, changed("etc/prometheus/prometheus.yml", "etc/prometheus/web.yml"), (), ALL)
        if a.unit == "prometheus"
    )
    assert action.reason == "etc/prometheus/web.yml changed"


def test_a_circle_of_dependencies_still_has_an_order() -> None:
    left, right = wire.UnitEntry("left", "", after=("right",)), wire.UnitEntry("right", "", after=("left",))
    assert sorted(unit.name for unit in impact.ordered((left, right))) == ["left", "right"]


def test_a_missing_link_counts_for_a_unit_of_the_machines_own_alone() -> None:
    links = (wire.LinkEntry("/etc/systemd/journald.conf.d/own.conf", "etc/journald.conf"), *NODE.links)
    lent = replace(NODE, links=links)
    gone = [wire.Drift("link-missing", link.path, "") for link in links]
    assert acting(impact.decide(lent, lent, gone, ALL)) == {"systemd-journald": "restart"}
