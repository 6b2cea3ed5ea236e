"""Users, machines and proxies of the front door: what a configuration may say of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from obstack.model.front_door import MachineRight, Role
from obstack.model.passwords import SHORTEST_OF_MACHINE, weakness
from obstack.model.rules import cross_rules, secret_references
from obstack.model.site import Site

PUSHER = {"name": "edge-1", "password": "secret:edge-1", "may": ["write-metrics"]}


def site(**door: Any) -> Site:
    return Site.model_validate({"domain": "observability.example.org", "front_door": door})


def test_a_user_without_a_role_keeps_what_the_pages_offer_and_the_administrator_is_one() -> None:
    assert site().front_door.users[0].role is Role.ADMIN
    assert site(users=[{"name": "ann", "password": "secret:ann"}]).front_door.users[0].role is Role.EDITOR


def test_a_machine_says_what_it_may() -> None:
    assert site(machines=[PUSHER]).front_door.machines[0].may == (MachineRight.WRITE_METRICS,)
    for may in ([], ["everything"]):
        with pytest.raises(ValidationError):
            site(machines=[PUSHER | {"may": may}])


def test_the_passwords_of_machines_are_secrets_of_the_site() -> None:
    assert secret_references(site(machines=[PUSHER])) == [
        (("front_door", "users", 0, "password"), "admin-password"),
        (("front_door", "machines", 0, "password"), "edge-1"),
    ]


@pytest.mark.parametrize(
    ("door", "path", "says"),
    [
        ({"machines": [PUSHER, PUSHER]}, ("front_door", "machines", 1, "name"), "edge-1"),
        ({"machines": [PUSHER | {"name": "admin"}]}, ("front_door", "machines", 0, "name"), "a user as well"),
        (
            {"machines": [PUSHER | {"name": "observability-gate"}]},
            ("front_door", "machines", 0, "name"),
            "gate probes",
        ),
        ({"plain_http": True}, ("front_door", "plain_http"), "trusted_proxies"),
        (
            {"plain_http": True, "trusted_proxies": ["192.0.2.7"], "certificate": {"mode": "acme"}},
            ("front_door", "certificate", "mode"),
            "shows no certificate",
        ),
    ],
)
def test_what_does_not_fit_together_is_found(door: dict[str, Any], path: tuple[str | int, ...], says: str) -> None:
    (finding,) = cross_rules(site(**door))
    assert finding.path == path
    assert says in finding.message


def test_a_proxy_may_be_an_address_or_a_network() -> None:
    proxies = ("192.0.2.7", "192.0.2.0/24", "2001:db8:1::/64", "::1")
    assert cross_rules(site(plain_http=True, trusted_proxies=proxies)) == []


@pytest.mark.parametrize("proxy", ["0.0.0.0/0", "::/0", "192.0.2.1/24", "proxy.example.org", "192.0.2.300", "1.2.3.4;"])
def test_what_is_no_network_or_everybody_is_no_proxy(proxy: str) -> None:
    with pytest.raises(ValidationError):
        site(trusted_proxies=[proxy])


def test_a_machine_needs_a_longer_password_than_a_person() -> None:
    password = "ijfGvYa3KNYWfV9rLMwxhyPr"
    assert weakness(password, "edge-1") is None
    assert "at least 32" in (weakness(password, "edge-1", shortest=SHORTEST_OF_MACHINE) or "")
