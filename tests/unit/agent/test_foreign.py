"""Units of the machine's own: named with their suffix, judged by their own checker, never started by us."""

from __future__ import annotations

import pytest

from obstack.agent import foreign, paths, wire
from obstack.agent.faults import AgentError
from obstack.agent.services import ServiceFailure, UnitState

NGINX = wire.UnitEntry("nginx.service", "", inputs=(wire.InputEntry("etc/status.conf", "reload"),))
OURS = wire.UnitEntry("exporter", "units/exporter.service")


def manifest(*units: wire.UnitEntry) -> wire.Manifest:
    files = tuple(wire.FileEntry(unit.file, "a" * 64, 1, 0o644) for unit in units if unit.file)
    return wire.Manifest("web-1", "monitored-host", "systemd", files=files, units=units)


def refusal(unit: wire.UnitEntry, *, present: bool = True) -> AgentError:
    with pytest.raises(AgentError) as caught:
        foreign.refuse([unit], {unit.name: UnitState(unit.name, "active", present=present)})
    return caught.value


def checked(*argv: str) -> wire.UnitEntry:
    return wire.UnitEntry("nginx.service", "", check=argv)


@pytest.mark.parametrize(
    "name", ["nginx.service", "php8.4-fpm.service", "NetworkManager.service", "getty@tty1.service"]
)
def test_the_names_of_the_machines_own_units_are_accepted(name: str) -> None:
    paths.validate(manifest(wire.UnitEntry(name, "")), "")


@pytest.mark.parametrize(
    "unit",
    [
        wire.UnitEntry("../nginx.service", ""),
        wire.UnitEntry("NetworkManager.service", "units/exporter.service"),
        wire.UnitEntry("-a.service", ""),
        checked("nginx", "-t"),
        wire.UnitEntry("exporter", "units/exporter.service", check=("/usr/bin/true",)),
    ],
)
def test_what_could_do_harm_is_refused(unit: wire.UnitEntry) -> None:
    with pytest.raises(AgentError, match="refused"):
        paths.validate(manifest(unit), "")


def test_only_those_that_are_acted_on_are_looked_at() -> None:
    actions = [wire.Action("nginx.service", "reload", ""), wire.Action("exporter", "restart", "")]
    assert foreign.acted_on(manifest(OURS, NGINX), actions) == (NGINX,)
    assert foreign.acted_on(manifest(OURS, NGINX), [wire.Action("nginx.service", "none", "")]) == ()


def test_one_that_is_not_there_is_refused_and_nothing_was_changed() -> None:
    error = refusal(NGINX, present=False)
    assert error.code == "unit-absent"
    assert error.state == "nothing was changed"
    assert "nginx.service" in error.what


def test_one_whose_configuration_is_broken_already_is_refused_in_its_checkers_words() -> None:
    error = refusal(checked("/bin/sh", "-c", "echo line 7 is wrong >&2; exit 1"))
    assert error.code == "foreign-configuration-refused"
    assert error.detail == "line 7 is wrong"


def test_a_checker_that_cannot_be_run_has_not_accepted() -> None:
    with pytest.raises(ServiceFailure, match=r"nginx\.service"):
        foreign.demand_accepted(checked("/nonexistent/checker"))


def test_what_its_checker_accepts_passes() -> None:
    foreign.refuse([checked("/bin/true"), NGINX], {"nginx.service": UnitState("nginx.service", "active")})
