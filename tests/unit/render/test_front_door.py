"""The front door's configuration: what the table grants, what a configuration changes, and what no name can do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from obstack.model.front_door import MachineRight, Role
from obstack.model.layout import Layout
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.render.door_table import CHALLENGES, READ, ROUTES, Kind, machine_principal, permissions
from obstack.render.materials import Login
from obstack.render.nginx import render_nginx
from obstack.render.prometheus import render_prometheus
from obstack.render.tree import Rendering
from rendering.settled import HASH, PRIVATE, SERVER, materials

pytestmark = pytest.mark.security

PUSHER = {"name": "edge-1", "password": "secret:edge-1", "may": ["write-metrics"]}


def site(**door: Any) -> Site:
    return Site.model_validate({"domain": "observability.example.org", "front_door": door})


def rendered(of: Site, layout: Layout = SERVER, *logins: Login) -> Rendering:
    given = materials()
    return render_nginx(of, layout, dataclasses.replace(given, logins=logins or given.logins))


def configuration(of: Site, layout: Layout = SERVER) -> str:
    return file(rendered(of, layout), "etc/nginx/nginx.conf")


def file(of: Rendering, path: str) -> str:
    return next(each.content.decode() for each in of.files if each.path == path)


def test_roles_are_nested_and_a_viewer_only_reads() -> None:
    granted = {role: {(p.method, p.route.name) for p in permissions(()) if p.principal == role.value} for role in Role}
    assert granted[Role.VIEWER] < granted[Role.EDITOR] < granted[Role.ADMIN]
    kinds = {p.kind for p in permissions(()) if p.principal == Role.VIEWER.value}
    assert kinds == {Kind.READ}
    writes = {p.route.name for p in permissions(()) if p.principal == Role.EDITOR.value and p.kind is not Kind.READ}
    assert writes == {"/alertmanager/api/v2/silences", "/alertmanager/api/v2/silence/"}


@pytest.mark.parametrize("right", MachineRight)
def test_a_machine_has_its_own_thing_and_no_page(right: MachineRight) -> None:
    found = [item for item in permissions(((right,),)) if item.principal == machine_principal((right,))]
    assert found
    assert not {item.route.name for item in found} & {"/", "/prometheus/", "/alertmanager/"}
    if right is not MachineRight.READ_METRICS:
        assert [(item.method, item.kind) for item in found] == [("POST", Kind.PUSH)]


def test_several_rights_add_up() -> None:
    both = (MachineRight.WRITE_METRICS, MachineRight.PUSH_ALERTS)
    found = {item.route.name for item in permissions((both,)) if item.principal.startswith("machine:")}
    assert found == {"/prometheus/api/v1/write", "/alertmanager/api/v2/alerts"}
    assert machine_principal(both) == machine_principal(both[::-1])


def test_no_path_stands_twice() -> None:
    paths = [path for route in ROUTES for path in route.paths]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("mode", ["internal", "acme"])
def test_nothing_answers_without_a_login_but_what_is_listed(mode: str) -> None:
    text = configuration(site(certificate={"mode": mode}))
    http, door = text.split("    server {\n")[1:]
    # The judgement, which nobody can ask for.
    assert door.count("auth_basic off;") == door.count("auth_request off;") == door.count("internal;") == 1
    open_paths = {line.split()[-2] for line in http.splitlines() if line.strip().startswith("location")} - {"/"}
    assert open_paths == ({CHALLENGES} if mode == "acme" else set())
    assert "proxy_pass" not in http


def test_a_method_that_reads_is_never_a_change() -> None:
    for route in ROUTES:
        for grant in route.grants:
            if set(grant.methods) & set(READ):
                assert grant.kind is Kind.READ


def test_a_name_that_means_something_to_nginx_is_a_name() -> None:
    text = configuration(site(users=[{"name": "default", "password": "secret:a", "role": "admin"}]))
    role = text.partition('"$door_role" {')[2].partition("}")[0]
    assert [line.split() for line in role.strip().splitlines()] == [
        ["default", '"";'],
        ["user:default", "admin;"],
        ["user:observability-gate", "viewer;"],
    ]


def test_a_cookie_belongs_to_one_person_and_one_password() -> None:
    of = site(
        users=[{"name": name, "password": f"secret:{name}"} for name in ("ann", "bob")],
        machines=[PUSHER],
    )
    logins = [Login(name, f"{HASH}{name}", Secret("x")) for name in ("ann", "bob", "edge-1")]
    known = file(rendered(of, SERVER, *logins), "etc/nginx/known.conf")
    tokens = {line.split()[0]: line.split()[1] for line in known.splitlines() if line.strip().startswith("user:")}
    assert set(tokens) == {"user:ann", "user:bob"}
    assert len(set(tokens.values())) == 2
    changed = [dataclasses.replace(logins[0], hash=HASH), *logins[1:]]
    assert tokens["user:ann"] not in file(rendered(of, SERVER, *changed), "etc/nginx/known.conf")
    assert tokens["user:bob"] in file(rendered(of, SERVER, *changed), "etc/nginx/known.conf")


def test_passwords_and_what_is_made_of_them_are_for_the_workers_alone() -> None:
    modes = {each.path: (each.mode, each.group, each.secret) for each in rendered(site()).files}
    assert modes["etc/nginx/htpasswd"] == modes["etc/nginx/known.conf"] == (0o640, "nginx", True)
    assert modes["etc/nginx/gate-credentials"] == (0o600, "root", True)


def test_ipv6_is_listened_on_unless_it_is_refused_and_never_by_a_private_root() -> None:
    assert configuration(site()).count("[::]:") == 2
    assert "[::]:" not in configuration(site(ipv6=False))
    assert "[::]:" not in configuration(site(), PRIVATE)


def test_without_tls_there_is_no_key_and_strangers_are_refused() -> None:
    of = site(plain_http=True, trusted_proxies=["192.0.2.7", "2001:db8::/64"])
    text = configuration(of)
    assert "ssl" not in text
    assert "listen 443" not in text
    assert not [each.path for each in rendered(of).files if "/tls/" in each.path]
    assert text.index('if "($door_stranger)"') < text.index("auth_basic observability")
    strangers = text.partition('"$door_stranger" {')[2].partition("}")[0].split()
    assert strangers[:2] == ["default", "1;"]
    assert {"192.0.2.7", "2001:db8::/64", "127.0.0.0/8"} < set(strangers)
    assert text.count("set_real_ip_from") == 2
    (gate,) = rendered(of).gates
    assert gate.params["plain"] is True


def test_nobody_is_believed_about_the_clients_address_by_default() -> None:
    assert "real_ip" not in configuration(site())


def test_prometheus_takes_metrics_from_outside_only_while_a_machine_may_write_them() -> None:
    def argv(of: Site) -> tuple[str, ...]:
        return render_prometheus(of, SERVER, materials(), {}).services[0].argv

    flag = "--web.enable-remote-write-receiver"
    assert flag not in argv(site())
    assert flag not in argv(site(machines=[PUSHER | {"may": ["push-alerts", "read-metrics"]}]))
    assert flag in argv(site(machines=[PUSHER]))
    for switched_on in ("--web.enable-admin-api", "--web.enable-lifecycle"):
        assert switched_on not in argv(site())
