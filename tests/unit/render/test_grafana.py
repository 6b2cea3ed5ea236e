"""Grafana as it is deployed: settings as its reader takes them, secrets in files, and who may say who somebody is."""

from __future__ import annotations

import configparser
import json
from typing import Any

import pytest

from obstack.content.dashboards import STACK
from obstack.errors import UsageError
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.emit import Expression, go_ini_bytes
from obstack.render.grafana import render_grafana
from obstack.render.node import render_node
from rendering.grafana import GRAFANA_SECRETS, grafana_materials, grafana_site
from rendering.settled import PRIVATE, SERVER, materials


def tree(described: Site, layout: Layout = SERVER, version: str = "13.2.3", **changes: Any) -> dict[str, str]:
    rendering = render_grafana(described, layout, grafana_materials(version, **changes), {})
    return {file.path: file.content.decode() for file in rendering.files}


def ini(described: Site, layout: Layout = SERVER, version: str = "13.2.3") -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(tree(described, layout, version)["etc/grafana/grafana.ini"])
    return parser


def test_a_site_without_it_has_nothing_of_it() -> None:
    assert render_grafana(Site(domain="o.example.org"), SERVER, materials(), {}).files == ()


def test_no_secret_is_in_its_settings_and_its_unit() -> None:
    described = grafana_site(
        grafana={
            "sign_in": "oidc",
            "oidc": {
                "client_id": "grafana",
                "client_secret": "secret:client",
                "authorize_url": "https://sso.example.org/a",
                "token_url": "https://sso.example.org/t",
                "api_url": "https://sso.example.org/u",
                "role": "contains(groups[*], 'operators') && 'Editor' || 'Viewer'",
            },
        }
    )
    rendering = render_grafana(described, SERVER, grafana_materials(), {})
    kept = {file.content.decode() for file in rendering.files if file.secret}
    assert kept == set(GRAFANA_SECRETS.values())
    for file in rendering.files:
        assert file.secret or not any(value in file.content.decode() for value in GRAFANA_SECRETS.values()), file.path
    assert {file.mode for file in rendering.files if file.secret} == {0o640}
    assert ini(described)["security"]["secret_key"] == '"""$__file{/etc/grafana/secrets/secret-key}"""'


def test_only_who_can_open_its_socket_may_say_who_somebody_is() -> None:
    settings = ini(grafana_site())
    assert settings["server"]["protocol"] == "socket"
    assert settings["server"]["socket_mode"] == "0660"
    assert "whitelist" not in settings["auth.proxy"]
    private = ini(grafana_site(), PRIVATE)
    assert private["server"]["http_addr"] == "127.0.0.1"
    assert private["auth.proxy"]["whitelist"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("sign_in", "form", "basic", "asks"),
    [("front-door", "true", "false", True), ("own", "false", "true", False)],
)
def test_who_asks_people_who_they_are(sign_in: str, form: str, basic: str, asks: bool) -> None:
    described = grafana_site(grafana={"sign_in": sign_in})
    settings = ini(described)
    assert settings["auth"]["disable_login_form"] == form
    assert settings["auth.basic"]["enabled"] == basic
    door = {file.path: file.content.decode() for file in render_node(described, SERVER, grafana_materials()).files}
    route = door["etc/nginx/nginx.conf"].partition("location /grafana/ {")[2].partition("\n        }")[0]
    assert route
    assert ("auth_basic off" in route) is not asks
    # What a client says of itself in these headers is never passed on.
    assert f"proxy_set_header X-WEBAUTH-USER {'$remote_user' if asks else ''}".strip() in route.replace('"', "")
    assert "proxy_set_header X-WEBAUTH-ROLE" in route


def test_data_sources_are_of_versions_that_keep_them_apart_in_a_folder_of_their_own() -> None:
    (new,) = render_grafana(grafana_site(), SERVER, grafana_materials(), {}).services
    assert new.preflight[-1][0] == "/bin/cp"
    assert (
        ini(grafana_site())["paths"]["bundled_plugins"]
        == new.preflight[-1][-1]
        == "/var/lib/grafana/plugins-bundled-13.2.3"
    )
    (old,) = render_grafana(grafana_site(), SERVER, grafana_materials("11.6.16"), {}).services
    assert old.preflight == ()
    assert "bundled_plugins" not in ini(grafana_site(), version="11.6.16")["paths"]


def test_an_older_version_cannot_go_on_with_the_data_of_a_newer_one() -> None:
    (new,) = render_grafana(grafana_site(), SERVER, grafana_materials(), {}).services
    (old,) = render_grafana(grafana_site(), SERVER, grafana_materials("11.6.16"), {}).services
    assert new.state is not None
    assert old.state is not None
    assert old.state.format in new.state.reads
    assert new.state.format not in old.state.reads


def test_dashboards_lie_in_folders_and_the_sites_own_take_the_place_of_ours() -> None:
    own = {"fleet": {"uid": "x", "title": "Ours, changed"}, "shop": {"uid": "shop", "title": "Shop"}}
    files = tree(grafana_site(), dashboards=own)
    boards = {path: json.loads(text) for path, text in files.items() if path.startswith("etc/grafana/dashboards/")}
    assert {path.removeprefix("etc/grafana/dashboards/") for path in boards} == {
        *(f"Stack/{name}.json" for name in STACK),
        "Own/shop.json",
    }
    assert boards["etc/grafana/dashboards/Stack/fleet.json"] == {"uid": "obs-fleet", "title": "Ours, changed"}
    gate = render_grafana(grafana_site(), SERVER, grafana_materials(dashboards=own), {}).gates[-1]
    assert set(gate.params["dashboards"]) == {"shop", *(f"obs-{name}" for name in STACK)}
    assert gate.params["dashboards"]["obs-capacity"].startswith(gate.params["mark"])


@pytest.mark.parametrize("value", ["a\nb", 'say "x"', "$__env{HOME}", "%(protocol)s", "a\\b"])
def test_what_its_reader_would_take_otherwise_is_refused(value: str) -> None:
    with pytest.raises(UsageError):
        go_ini_bytes({"server": {"domain": value}})


def test_values_with_marks_of_comments_stand_between_three_quotes() -> None:
    assert go_ini_bytes({"a.b": {"x": "a # b; c", "y": True}}) == b'[a.b]\nx = """a # b; c"""\ny = true\n'
    assert go_ini_bytes({"a": {"x": Expression("$__file{/x}")}}) == b'[a]\nx = """$__file{/x}"""\n'
