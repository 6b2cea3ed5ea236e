"""The timer that renews certificates."""

from dataclasses import replace

import pytest

from obstack.agent.systemd import Systemd
from obstack.agent.wire import UnitEntry
from obstack.render.renewal import render_renewal
from obstack.render.tree import Rendering
from rendering.hosts import fleet_site
from rendering.settled import PRIVATE, SERVER, materials

HOSTS = {"web-1": {"address": "192.0.2.10"}}
COMMAND = ("/srv/observability/observability", "cert", "renew", "--if-due", "--config", "/srv/observability/config")


def render(lifetime: str = "90d", *, automatic: bool = True, command: tuple[str, ...] = COMMAND) -> Rendering:
    site = fleet_site(HOSTS)
    certificates = site.certificates.model_copy(update={"lifetime": lifetime, "automatic": automatic})
    site = site.model_copy(update={"certificates": certificates})
    return render_renewal(site, SERVER, replace(materials(), renewal=command))


def text(rendering: Rendering, suffix: str) -> str:
    return next(file.content.decode() for file in rendering.files if file.path.endswith(suffix))


def test_the_service_runs_this_program_and_nothing_but_the_timer_starts_it() -> None:
    rendering = render()
    assert f"ExecStart={' '.join(COMMAND)}" in text(rendering, ".service")
    service, timer = rendering.units
    assert Systemd().enable_link(service) is None
    assert Systemd().enable_link(timer) == (
        "/etc/systemd/system/multi-user.target.wants/observability-renew.timer",
        "../observability-renew.timer",
    )
    assert Systemd().definition_path(timer) == "/etc/systemd/system/observability-renew.timer"
    assert Systemd().enable_link(UnitEntry("nginx", "units/nginx.service")) == (
        "/etc/systemd/system/multi-user.target.wants/nginx.service",
        "../nginx.service",
    )


@pytest.mark.parametrize(
    ("lifetime", "rhythm"), [("90d", "daily"), ("6d", "daily"), ("2d", "hourly"), ("1m", "minutely")]
)
def test_it_looks_often_enough_for_the_life_of_a_certificate(lifetime: str, rhythm: str) -> None:
    timer = text(render(lifetime), ".timer")
    assert f"OnCalendar={rhythm}" in timer
    assert "Persistent=true" in timer


def test_there_is_no_timer_where_nothing_is_renewed_so() -> None:
    assert render(automatic=False) == Rendering()
    assert render(command=()) == Rendering()
    settled = replace(materials(), renewal=COMMAND)
    # A server without hosts has a front door.
    assert render_renewal(fleet_site({}), SERVER, settled) != Rendering()
    assert render_renewal(fleet_site(HOSTS), PRIVATE, settled) == Rendering()
