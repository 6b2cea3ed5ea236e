"""What a host runs: defaults, its groups, itself; and what is wrong with how modules are used."""

from __future__ import annotations

from typing import Any

from obstack.catalog.modules import ShippedModule, module_findings, resolve_host, resolve_hosts
from obstack.catalog.modules.findings import secret_options
from obstack.model.module import Module, ModuleRules
from obstack.model.rules import Finding
from obstack.model.site import Site
from obstack.model.words import spell

OPTIONS = {
    "share": {"type": "number", "default": 0.8, "minimum": 0, "maximum": 1, "threshold": True, "description": "x"},
    "user": {"type": "name", "default": "watcher", "description": "x"},
    "password": {"type": "secret", "optional": True, "description": "x"},
}


def module(name: str, port: int | None, **settings: Any) -> ShippedModule:
    exporter = {"key_metric": "x_up"} | ({"port": port} if port else {"through": "node"})
    described = {"name": name, "title": name, "description": name, "exporter": exporter} | settings
    return ShippedModule(Module.model_validate(described), ModuleRules())


MODULES = {
    item.name: item
    for item in (
        module("node", 9100),
        module("mysqld", 9104, options=OPTIONS),
        module("redis", 9121, options={"address": {"type": "address", "description": "x"}}),
        module("timers", None),
    )
}


def site(groups: dict[str, Any] | None = None, **hosts: Any) -> Site:
    hosts = {name.replace("_", "-"): {"address": "192.0.2.1"} | host for name, host in hosts.items()}
    return Site.model_validate({"domain": "o.example.org", "hosts": hosts, "fleet": {"groups": groups or {}}})


def told(found: list[Finding]) -> list[str]:
    return [f"{spell(finding.path)} {finding.message}" for finding in found]


def test_node_is_there_unless_it_is_disabled() -> None:
    one = site(web_1={}, web_2={"modules": {"node": {"enabled": False}}})
    assert [item.name for item in resolve_host(one, MODULES, "web-1")] == ["node"]
    assert resolve_host(one, MODULES, "web-2") == ()


def test_the_host_wins_over_its_groups_and_a_later_group_over_an_earlier() -> None:
    groups = {
        "all": {"modules": {"mysqld": {"options": {"share": 0.5, "user": "all"}}}, "scrape_interval": "30s"},
        "big": {"modules": {"mysqld": {"options": {"share": 0.6}, "scrape_interval": "45s"}}},
    }
    one = site(
        groups,
        db_1={"groups": ["all", "big"], "modules": {"mysqld": {"options": {"port": 9999}}}},
        db_2={"groups": ["big", "all"]},
        db_3={"groups": ["all"], "scrape_interval": "20s", "modules": {"mysqld": {"enabled": False}}},
    )
    (mysqld, node) = resolve_host(one, MODULES, "db-1")
    assert dict(mysqld.options) == {"share": 0.6, "user": "all", "port": 9999}
    assert (mysqld.port, mysqld.interval, node.port, node.interval) == (9999, "45s", 9100, "30s")
    assert resolve_host(one, MODULES, "db-2")[0].options["share"] == 0.5
    assert [(item.name, item.interval) for item in resolve_host(one, MODULES, "db-3")] == [("node", "20s")]
    assert resolve_hosts(one, MODULES) == {name: resolve_host(one, MODULES, name) for name in one.hosts}


def test_a_module_through_another_has_no_port() -> None:
    one = site(web_1={"modules": {"timers": {}}})
    assert [(item.name, item.port) for item in resolve_host(one, MODULES, "web-1")] == [("node", 9100), ("timers", 0)]


def test_a_fine_site_has_no_findings() -> None:
    redis = {"options": {"address": "127.0.0.1:6379"}}
    one = site(db_1={"modules": {"mysqld": {"options": {"password": "secret:db"}}, "redis": redis, "timers": {}}})
    assert module_findings(one, MODULES) == []
    assert [(spell(path), name) for path, name in secret_options(one, MODULES)] == [
        ("hosts.db-1.modules.mysqld.options.password", "db")
    ]


def test_every_slip_is_told_at_its_place() -> None:
    groups = {"db": {"modules": {"mysql": {}, "mysqld": {"options": {"share": "high"}}}}}
    one = site(
        groups,
        db_1={"groups": ["db"], "modules": {"redis": {"options": {"port": 9104}}}},
        db_2={"modules": {"node": {"enabled": False}, "timers": {}, "mysqld": {"options": {"shere": 1}}}},
        db_3={"modules": {"mysqld": {"options": {"password": "hunter2", "port": 22, "share": 1.5}}}},
    )
    found = module_findings(one, MODULES)
    assert told(found) == [
        "fleet.groups.db.modules.mysql mysql is not a module",
        "fleet.groups.db.modules.mysqld.options.share must be a number from 0 to 1, but is “high”",
        "hosts.db-1.modules.redis.options.address is required",
        "hosts.db-1.modules.redis redis must not have the port 9104, which mysqld has",
        "hosts.db-2.modules.mysqld.options.shere shere is not an option of mysqld",
        "hosts.db-2.modules.timers timers needs the module node, which is not enabled",
        "hosts.db-3.modules.mysqld.options.password must be a reference secret:NAME, never the secret itself",
        "hosts.db-3.modules.mysqld.options.port must be a port from 1024 to 65535, but is the number 22",
        "hosts.db-3.modules.mysqld.options.share must be a number from 0 to 1, but is the number 1.5",
        "hosts.db-3.modules.mysqld mysqld must not have the port 22, which SSH has",
    ]
    assert "Did you mean mysqld?" in found[0].remedy
    assert "Did you mean share?" in found[4].remedy
    assert "hunter2" not in str(found)


def snippet(name: str, link: str, **settings: Any) -> ShippedModule:
    file = {"path": "x.conf", "format": "text", "content": ["x"], "link": link}
    return module(name, None, files=[file], **settings)


def test_what_two_modules_would_both_have_is_told_where_the_second_is_enabled() -> None:
    account = {"option": "make", "command": ["/bin/x"], "create": ["x"], "remove": ["x"]}
    make = {"make": {"type": "boolean", "default": True, "description": "x"}}
    pool = {"pool": {"type": "name", "optional": True, "description": "x"}}
    service = {"name": "agent", "command": ["/bin/x"]}
    modules = {
        item.name: item
        for item in (
            module("node", 9100),
            module("agent-account", None),
            module("first", 9201, service=service, options=make, account=account),
            module("second", 9202, service=service),
            snippet("third", "/etc/x/${host}/${pool}.conf", options=pool),
            snippet("fourth", "/etc/x/${host}/${pool}.conf", options=pool),
        )
    }
    pooled = {"options": {"pool": "www"}}
    one = site(
        {"all": {"modules": {"first": {}}}},
        web_1={"groups": ["all"], "modules": {"second": {}}},
        web_2={"groups": ["all"], "modules": {"agent-account": {}}},
        web_3={"groups": ["all"], "modules": {"agent-account": {}, "first": {"options": {"make": False}}}},
        web_4={"modules": {"third": pooled, "fourth": pooled}},
        web_5={"modules": {"third": pooled, "fourth": {"options": {"pool": "other"}}}},
        web_6={"modules": {"third": {}, "fourth": {}}},
    )
    found = module_findings(one, modules)
    assert told(found) == [
        "hosts.web-1.modules.second second must not have the unit or folder agent, which first has",
        "fleet.groups.all.modules.first first must not have the unit or folder agent-account, which agent-account has",
        "hosts.web-4.modules.third third must not have the link /etc/x/${host}/www.conf, which fourth has",
    ]
    assert spell(found[0].related or ()) == "fleet.groups.all.modules.first"


def test_a_group_is_told_once_for_all_of_its_hosts() -> None:
    groups: dict[str, Any] = {"cache": {"modules": {"redis": {}}}}
    one = site(groups, c_1={"groups": ["cache"]}, c_2={"groups": ["cache"]})
    assert told(module_findings(one, MODULES)) == ["fleet.groups.cache.modules.redis.options.address is required"]
