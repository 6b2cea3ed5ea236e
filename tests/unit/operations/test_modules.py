"""The secrets of modules are judged as all others, and the programs of hosts are found by platform."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from obstack.catalog.components import NFTABLES
from obstack.catalog.lock import Platform
from obstack.edges.configfile import FileConfigurations
from obstack.edges.modulefile import load_modules
from obstack.edges.secrets import FileSecrets
from obstack.model.layout import Layout, Manager
from obstack.model.server_firewall import ServerFirewall
from obstack.model.site import Server, Site
from obstack.operations.configuration import examine_configuration
from obstack.operations.desired import components_of, platform_components

BASE = "domain: observability.internal\nserver:\n  address: 192.0.2.1\n"
SERVER = Layout("", Manager.SYSTEMD)
MODULES = load_modules()
SHOP = """\
name: shop
title: The shop
description: What it sells.
options:
  password:
    type: secret
    description: Its password.
exporter:
  key_metric: shop_up
  through: node
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FileSecrets(tmp_path / "secrets").create("admin-password")
    (tmp_path / "global.yaml").write_text(BASE)
    (tmp_path / "hosts").mkdir()
    return tmp_path


def test_a_secret_that_an_option_names_must_be_there(folder: Path) -> None:
    (folder / "further/shop").mkdir(parents=True)
    (folder / "further/shop/module.yaml").write_text(SHOP)
    (folder / "global.yaml").write_text(BASE + "modules:\n  folder: further\n")
    (folder / "hosts/web-1.yaml").write_text(
        "address: 192.0.2.11\nmodules:\n  shop:\n    options:\n      password: secret:shop-password\n"
    )
    secrets = FileSecrets(folder / "secrets")
    (problem,) = examine_configuration(FileConfigurations(folder), lambda _: secrets, None).problems
    assert (Path(problem.file).name, problem.line) == ("web-1.yaml", 5)
    assert "shop-password" in problem.message
    secrets.create("shop-password")
    assert examine_configuration(FileConfigurations(folder), lambda _: secrets, None).problems == ()


HOSTS = {
    "web-1": {"address": "192.0.2.11", "modules": {"nginx": {}}},
    "web-2": {"address": "192.0.2.12", "modules": {"nginx": {}}, "logs": False, "firewall": False},
    "db-1": {"address": "192.0.2.13", "logs": False},
}
SITE = Site.model_validate({"domain": "observability.example.org", "hosts": HOSTS})


def test_hosts_of_a_platform_need_together_what_each_of_them_needs() -> None:
    old, new = Platform("bookworm", "amd64"), Platform("trixie", "amd64")
    wanted = platform_components(SITE, MODULES, {"web-1": old, "web-2": new, "db-1": new})
    exporter = MODULES["nginx"].module.artifact
    assert exporter is not None
    assert {exporter.name, NFTABLES.name} <= set(wanted[old])
    assert exporter.name in wanted[new]
    assert "nftables" in wanted[new]


def test_the_server_receives_journals_only_where_a_host_sends_one() -> None:
    silent = SITE.model_copy(
        update={"hosts": {name: host.model_copy(update={"logs": False}) for name, host in SITE.hosts.items()}}
    )
    assert "journal-remote" in components_of(SERVER, SITE)
    assert "journal-remote" not in components_of(SERVER, silent)
    assert "journal-remote" in components_of(replace(SERVER, manager=Manager.SUPERVISOR), silent)


def test_a_server_needs_nftables_unless_it_has_no_firewall() -> None:
    open_to_all = SITE.model_copy(update={"server": Server(firewall=ServerFirewall(enabled=False))})
    assert "nftables" in components_of(SERVER, SITE)
    assert "nftables" not in components_of(SERVER, open_to_all)
    assert "nftables" not in components_of(replace(SERVER, manager=Manager.SUPERVISOR), SITE)
