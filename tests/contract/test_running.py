"""The rendered programs are started, at every version, and every gate of the generation turns green."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.debian import Distribution
from contract.staging import Staged, materials, stage
from obstack.agent import wire
from obstack.agent.gate import GateContext, run_gates
from obstack.agent.services import ServiceFailure
from obstack.agent.supervisor import Supervisor
from obstack.content.dashboards import STACK
from obstack.edges.embedded.supervisord import Supervisord
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site

pytestmark = pytest.mark.contract


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def site_on_free_ports() -> Site:
    prometheus, alertmanager, node, blackbox, https, http = free_ports(6)
    return Site.model_validate(
        {
            "domain": "observability.example.org",
            "prometheus": {
                "port": prometheus,
                "scrape_interval": "1s",
                "evaluation_interval": "1s",
                "external_labels": {"price": "5 $USD"},
                "targets": [{"job": "again", "addresses": [f"127.0.0.1:{node}"], "labels": {"note": 'a "b" \\ $c'}}],
            },
            "alertmanager": {"port": alertmanager},
            "node_exporter": {"port": node},
            "blackbox": {
                "port": blackbox,
                "probes": [{"name": "itself", "kind": "tcp", "target": f"127.0.0.1:{prometheus}"}],
            },
            "front_door": {"https_port": https, "http_port": http},
        }
    )


@dataclass(frozen=True)
class Running:
    """All programs of one generation under a supervisord of their own."""

    site: Site
    layout: Layout
    staged: Staged
    manager: Supervisor
    acted: dict[str, float]

    def gates(self) -> list[wire.GateResult]:
        """Run all gates, the writing ones too."""
        context = GateContext(
            root=self.layout.root,
            tree=str(self.staged.tree),
            manifest=self.staged.manifest,
            manager=self.manager,
            acted=self.acted,
            active=True,
        )
        return list(run_gates(self.staged.manifest.gates, context))

    def unit(self, name: str) -> wire.UnitEntry:
        """Return one unit of the manifest."""
        return next(unit for unit in self.staged.manifest.units if unit.name == name)


def install(staged: Staged, layout: Layout) -> None:
    Path(layout.state).mkdir(parents=True)
    Path(layout.current).symlink_to(staged.tree)
    for directory in staged.manifest.directories:
        Path(directory.path).mkdir(parents=True, exist_ok=True)
    for link in staged.manifest.links:
        Path(link.path).parent.mkdir(parents=True, exist_ok=True)
        Path(link.path).symlink_to(f"{layout.current}/{link.target}")


def in_order(units: tuple[wire.UnitEntry, ...]) -> list[wire.UnitEntry]:
    ordered: list[wire.UnitEntry] = []
    while len(ordered) < len(units):
        names = {unit.name for unit in ordered}
        ordered += [unit for unit in units if unit.name not in names and set(unit.after) <= names]
    return ordered


@pytest.fixture(scope="module")
def running(suite: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(suite.suite)
    layout = Layout(root=str(folder / "root"), manager=Manager.SUPERVISOR, python=sys.executable)
    site = site_on_free_ports()
    staged = stage(site, layout, materials(suite, site.domain, time.time()), suite, folder)
    install(staged, layout)
    supervisord = Supervisord(layout)
    manager = Supervisor(layout.root)
    acted = {}
    try:
        supervisord.start()
        for unit in staged.manifest.units:
            shutil.copy(staged.tree / unit.file, manager.definition_path(unit))
        manager.reload_definitions()
        for unit in in_order(staged.manifest.units):
            manager.start(unit)
            acted[unit.name] = time.time()
        yield Running(site, layout, staged, manager, acted)
    finally:
        supervisord.stop()


def test_every_gate_turns_green_and_a_reload_keeps_every_process(running: Running) -> None:
    assert [(gate.name, gate.message) for gate in running.gates() if not gate.passed] == []
    units = running.staged.manifest.units
    before = {name: state.pid for name, state in running.manager.states(units).items()}
    for unit in units:
        if unit.reload is not None:
            running.manager.reload(unit)
    assert [(gate.name, gate.message) for gate in running.gates() if not gate.passed] == []
    assert {name: state.pid for name, state in running.manager.states(units).items()} == before
    # Not the shell that prepared it: signals reach the program itself.
    for name, pid in before.items():
        program = os.path.realpath(f"/proc/{pid}/exe")
        assert "sh" not in Path(program).name.split("-"), (name, program)


def test_a_configuration_broken_by_hand_ends_in_its_checkers_words(running: Running) -> None:
    unit = running.unit("prometheus")
    running.manager.stop(unit)
    running.staged.rewrite("etc/prometheus/prometheus.yml", "scrape_interval: 1s", "scrape_interval: often")
    with pytest.raises(ServiceFailure, match="prometheus"):
        running.manager.start(unit)
    assert "often" in running.manager.log(unit)
    running.staged.rewrite("etc/prometheus/prometheus.yml", "scrape_interval: often", "scrape_interval: 1s")
    running.manager.stop(unit)
    running.manager.start(unit)


def test_an_agreed_marker_of_another_configuration_keeps_the_gate_red(running: Running) -> None:
    other = dataclasses.replace(
        running.staged.manifest,
        gates=tuple(
            dataclasses.replace(gate, params=gate.params | {"digest": "0" * 64}, deadline_s=1)
            for gate in running.staged.manifest.gates
            if gate.kind == "prometheus-configuration"
        ),
    )
    context = GateContext(running.layout.root, str(running.staged.tree), other, running.manager)
    assert [result.passed for result in run_gates(other.gates, context)] == [False]


def asked(running: Running, path: str, **parameters: str) -> str:
    """What Prometheus answers."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    url = f"http://127.0.0.1:{running.site.prometheus.port}/{path}{query}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


QUIET = {
    "Alerts that fire",  # none does
    "Targets that are down",  # none is
    "First certificate to end",  # the site probes no TLS
    # Of file systems that count there may be none where the test runs.
    "Fullest file system",
    "Free space in a week",
    "Free inodes",
}


def test_every_panel_of_the_stack_has_something_to_show(running: Running) -> None:
    wanted = {panel.title: panel.expr for board in STACK.values() for panel in board.panels}
    silent = set(wanted)
    deadline = time.monotonic() + 30
    while silent - QUIET and time.monotonic() < deadline:
        time.sleep(0.5)
        for title in tuple(silent):
            if json.loads(asked(running, "api/v1/query", query=wanted[title]))["data"]["result"]:
                silent.discard(title)
    assert silent <= QUIET


@pytest.mark.parametrize("name", STACK)
def test_the_pages_without_grafana_are_filled_in_by_prometheus(running: Running, name: str) -> None:
    page = asked(running, f"consoles/{name}.html")
    assert f"<h1>{STACK[name].title}</h1>" in page
    assert "{{" not in page
    assert page.count("<section>") == len(STACK[name].panels)
    assert "mon-1" in page


def shown(page: str, title: str) -> str:
    """What a page shows of one panel."""
    return page.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]


def test_a_page_is_narrowed_down_to_one_machine(running: Running) -> None:
    deadline = time.monotonic() + 30
    while ">1 machines<" not in shown(page := asked(running, "consoles/fleet.html", host="mon-1"), "Machines"):
        assert time.monotonic() < deadline, page
        time.sleep(0.5)
    assert "<h1>Fleet: mon-1</h1>" in page
    nowhere = asked(running, "consoles/fleet.html", host='x"} or up{host="mon-1')
    assert "nothing to show" in shown(nowhere, "Machines")
