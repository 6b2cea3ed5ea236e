"""The configuration of `observability up` is configuration like any other."""

from __future__ import annotations

from obstack.model.embedded import HIGHEST_PORT_BASE, PORT_BASE, PORTS, embedded_ports, embedded_settings
from obstack.model.site import Site


def test_the_settings_are_a_valid_site() -> None:
    site = Site.model_validate(embedded_settings(PORT_BASE))

    assert site.domain == "localhost"
    assert site.prometheus.scrape_interval == "5s"
    assert (site.front_door.https_port, site.front_door.http_port) == (19000, 19001)


def test_every_port_of_the_site_moves_with_the_base() -> None:
    default = Site.model_validate(embedded_settings(PORT_BASE)).model_dump(mode="json")
    moved = Site.model_validate(embedded_settings(PORT_BASE + 1000)).model_dump(mode="json")

    def ports(settings: dict[str, object]) -> dict[tuple[str, str], int]:
        sections = [(name, section) for name, section in settings.items() if isinstance(section, dict)]
        return {(n, key): value for n, section in sections for key, value in section.items() if key.endswith("port")}

    elsewhere = {("logs", "receive_port")}  # without hosts nothing listens there
    assert set(ports(default)) == set(PORTS) | elsewhere
    assert {key: value + 1000 for key, value in ports(default).items() if key in PORTS} == {
        key: value for key, value in ports(moved).items() if key in PORTS
    }


def test_ports_are_distinct_and_the_highest_base_still_fits() -> None:
    numbers = [port for section in embedded_ports(HIGHEST_PORT_BASE).values() for port in section.values()]

    assert len(set(numbers)) == len(PORTS)
    assert max(numbers) <= 65535
