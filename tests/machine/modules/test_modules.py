"""Every module against the real service it watches, on Debian 12 and 13, from detection to the last trace.

The tests are one story and follow each other: all modules are put on both hosts at once, all services are stopped at
once, and all modules go at once, so that what takes time is waited for once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from machine import ownership
from machine.library.image import Image, ImageStore
from machine.library.session import Machines
from machine.modules.story import PLAIN, SUITES, WATCHED, Story, differences, eventually, story_machines
from machine.modules.watched import CASES
from obstack.edges.modulefile import module_names, shipped_folder
from obstack.edges.modulefile.load import load_modules

pytestmark = pytest.mark.machine

MODULES: Final = module_names(shipped_folder())
SHIPPED: Final = load_modules()
DETECTED: Final = [module for module in MODULES if CASES[module].detected]
RIVALLED: Final = [module for module in MODULES if CASES[module].rival]
LOOKED_FOR: Final = [module for module in MODULES if SHIPPED[module].module.detect]
PROMPT: Final = [module for module in MODULES if not CASES[module].late]
LATE: Final = [module for module in MODULES if CASES[module].late]
BOARDS: Final = {module: board.panels for module in MODULES if (board := SHIPPED[module].dashboard) is not None}
PANELS: Final = [(module, panel.title) for module, panels in BOARDS.items() for panel in panels]
NOTHING_TO_SHOW: Final = {("blackbox", "Days until the certificate ends"), ("node", "Free space")}
"""Panels about what these hosts do not have: the probe of this site is by plain HTTP, and all their disk is an overlay,
which is left out as every container's is."""

on_each_host = pytest.mark.parametrize("host", WATCHED)
on_each_node = pytest.mark.parametrize("node", (*WATCHED, "mon-1"))


@pytest.fixture(scope="module")
def story(
    machines: Machines, program_images: Mapping[str, Image], images: ImageStore, minimal_images: Mapping[str, Image]
) -> Iterator[Story]:
    """All machines, the services of both hosts at work, and the hosts added."""
    story = story_machines(machines, program_images, images, minimal_images)
    for host in WATCHED:
        story.systemctl("start", host, *DETECTED)
        story.remember(host)
        story.rivals("start", host)
    story.server.succeed("preflight", "--observability-vps", "--fix")
    for host, suite in SUITES.items():
        story.server.succeed("host", "add", host, "--address", story.host(host).address, "--suite", suite)
    yield story


@on_each_host
@pytest.mark.parametrize("module", DETECTED)
def test_detection_finds_the_service(story: Story, module: str, host: str) -> None:
    found = story.detected(host)[module]
    assert found["proposed"], found


@on_each_host
@pytest.mark.parametrize("module", RIVALLED)
def test_detection_sees_what_it_would_take_the_place_of(story: Story, module: str, host: str) -> None:
    found = story.detected(host)[module]
    assert (found["verdict"], found["confidence"], found["proposed"]) == ("yes", "low", False), found


@pytest.mark.parametrize("module", [module for module in LOOKED_FOR if module != "systemd"])
def test_detection_finds_nothing_where_there_is_nothing(story: Story, module: str) -> None:
    found = story.detected(PLAIN)[module]
    assert (found["verdict"], found["proposed"]) == ("no", False), found


def test_all_modules_are_put_on_both_hosts_at_once(story: Story) -> None:
    for host in WATCHED:
        story.rivals("stop", host)
    for module in MODULES:
        options = [f"--option={name}={value}" for name, value in CASES[module].options.items()]
        story.server.succeed("module", "enable", module, *(f"--host={host}" for host in WATCHED), *options)
    probe = {"name": "website", "target": "http://127.0.0.1/", "hosts": list(WATCHED)}
    story.fleet.configure(blackbox={"probes": [probe]})
    nodes = story.fleet.apply()
    assert {name: node["outcome"] for name, node in nodes.items()} == dict.fromkeys((*SUITES, "mon-1"), "committed")


def test_a_second_apply_changes_nothing(story: Story) -> None:
    moved = {host: (story.fleet.traces(host), story.fleet.pids(host)) for host in WATCHED}
    nodes = story.fleet.apply()
    assert {node["outcome"] for node in nodes.values()} == {"unchanged"}
    assert {host: (story.fleet.traces(host), story.fleet.pids(host)) for host in WATCHED} == moved


@pytest.mark.security
@on_each_node
def test_programs_and_configuration_are_root_s_and_no_service_can_write_them(story: Story, node: str) -> None:
    machine = story.fleet.machine(node)
    assert ownership.not_of_root(machine) == []
    assert len(ownership.running(machine)) > 5
    assert ownership.writable(machine) == []
    # The same look finds what a service may write: its own data.
    own = "prometheus" if node == "mon-1" else "journal-upload"
    assert f"/var/lib/{own}" in ownership.can_write(machine, f"{own}.service", f"/var/lib/{own}")


@pytest.mark.security
@on_each_node
def test_data_are_of_the_service_s_own_user(story: Story, node: str) -> None:
    assert ownership.foreign_data(story.fleet.machine(node)) == []


@on_each_host
@pytest.mark.parametrize("module", MODULES)
def test_the_key_metric_can_be_asked_for(story: Story, module: str, host: str) -> None:
    exporter = SHIPPED[module].module.exporter
    eventually(lambda: story.series(exporter.key_metric, host))
    if exporter.up is not None:
        eventually(lambda: [one for one in story.series(str(exporter.up), host) if one["value"][1] == "1"])


@on_each_host
@pytest.mark.parametrize(("module", "title"), [panel for panel in PANELS if panel not in NOTHING_TO_SHOW])
def test_every_panel_has_something_to_show(story: Story, module: str, title: str, host: str) -> None:
    story.work(host)
    panel = next(panel for panel in BOARDS[module] if panel.title == title)
    eventually(lambda: story.series(panel.expr, host), timeout_s=20)


@pytest.fixture(scope="module")
def stopped(story: Story) -> Story:
    """All services stopped."""
    for host in WATCHED:
        story.systemctl("stop", host, *PROMPT)
    return story


@on_each_host
@pytest.mark.parametrize("module", PROMPT)
def test_its_alert_fires_when_the_service_stops(stopped: Story, module: str, host: str) -> None:
    eventually(lambda: stopped.firing(module, host))


@pytest.fixture(scope="module")
def started(stopped: Story) -> Story:
    """All services started again."""
    for host in WATCHED:
        stopped.systemctl("start", host, *PROMPT)
    return stopped


@on_each_host
@pytest.mark.parametrize("module", PROMPT)
def test_its_alert_ends_when_the_service_is_back(started: Story, module: str, host: str) -> None:
    eventually(lambda: not started.firing(module, host))


@pytest.fixture(scope="module")
def exporters_stopped(started: Story) -> Story:
    """The services that are of the modules themselves stopped."""
    for host in WATCHED:
        started.systemctl("stop", host, *LATE)
    return started


@on_each_host
@pytest.mark.parametrize("module", LATE)
def test_a_target_that_is_down_is_told(exporters_stopped: Story, module: str, host: str) -> None:
    eventually(lambda: exporters_stopped.firing(module, host), timeout_s=180)


@on_each_host
@pytest.mark.parametrize("module", LATE)
def test_an_apply_starts_what_should_run(exporters_stopped: Story, module: str, host: str) -> None:
    if module == LATE[0] and host == WATCHED[0]:
        exporters_stopped.fleet.apply()
    eventually(lambda: not exporters_stopped.firing(module, host))


@pytest.fixture(scope="module")
def disabled(story: Story) -> Story:
    """All modules but that of the machine itself disabled and applied."""
    story.fleet.configure()  # a module that is probed from cannot be disabled
    for module in MODULES:
        if module != "node":
            story.server.succeed("module", "disable", module, *(f"--host={host}" for host in WATCHED))
    nodes = story.fleet.apply()
    assert {name: nodes[name]["outcome"] for name in WATCHED} == dict.fromkeys(WATCHED, "committed")
    return story


@on_each_host
@pytest.mark.parametrize(
    "module", [module for module in MODULES if SHIPPED[module].module.service and module != "node"]
)
def test_a_disabled_module_leaves_no_unit(disabled: Story, module: str, host: str) -> None:
    service = SHIPPED[module].module.service
    assert service is not None
    for unit in (service.name, f"{service.name}-account"):
        assert disabled.host(host).unit_property(f"{unit}.service", "LoadState") == "not-found"


@on_each_host
def test_disabled_modules_leave_no_account_and_no_snippet(disabled: Story, host: str) -> None:
    assert disabled.accounts(host) == disabled.before[host].accounts
    links = disabled.host(host).succeed("find /etc -lname '*observability*' -not -path '/etc/systemd/*'").stdout
    assert sorted(links.split()) == ["/etc/journal-upload", "/etc/observability-exporters"]
    assert disabled.host(host).run("ls /var/lib/observability-textfile/*.prom").code != 0
    disabled.host(host).succeed("nginx -t")


@on_each_host
def test_a_host_that_is_removed_is_as_it_was_before(disabled: Story, host: str) -> None:
    disabled.fleet.document("host", "remove", host, "--clean", "--yes")
    assert differences(disabled.before[host].traces, disabled.traces(host)) == []
    assert disabled.accounts(host) == disabled.before[host].accounts
