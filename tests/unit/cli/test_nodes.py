"""Which nodes a command is about, from real files of a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obstack.cli.main import run
from obstack.cli.nodes import Nodes, choose_nodes, watches_hosts
from obstack.cli.options import Scope, Target, make_target
from obstack.edges.audit_memory import AuditedChannel
from obstack.edges.local_channel import LocalChannel
from obstack.edges.secrets import FileSecrets
from obstack.edges.ssh_channel import SshChannel
from obstack.errors import ConfigurationError, UsageError
from obstack.ports import Channel

BASE = {"domain": "observability.internal", "server": {"name": "mon-1", "address": "192.0.2.1"}}
HOSTS = {
    "web-1": {"address": "192.0.2.11", "groups": ["web"]},
    "web-2": {"address": "192.0.2.12", "groups": ["web"]},
    "far-1": {"address": "192.0.2.13", "ssh": None},
}


def way(nodes: Nodes, name: str = "") -> Channel:
    """The channel itself, below what remembers its audit log."""
    channel = nodes.open(name)
    assert isinstance(channel, AuditedChannel)
    return channel.channel


@pytest.fixture
def alone(tmp_path: Path) -> Target:
    """A server without hosts."""
    (tmp_path / "global.yaml").write_text(json.dumps(BASE))
    FileSecrets(tmp_path / "secrets").create("admin-password")
    return make_target(None, tmp_path, None, Scope.SERVER)


@pytest.fixture
def target(alone: Target) -> Target:
    """A server with three hosts, one of which no SSH leads to."""
    folder = alone.configuration
    (folder / "global.yaml").write_text(json.dumps({**BASE, "fleet": {"groups": {"web": {}}}}))
    (folder / "hosts").mkdir()
    for name, host in HOSTS.items():
        (folder / "hosts" / f"{name}.yaml").write_text(json.dumps(host))
    return alone


def test_a_server_without_hosts_is_meant_without_reading_its_configuration(alone: Target) -> None:
    (alone.configuration / "global.yaml").write_text("this: is not: read")
    nodes = choose_nodes(alone, (), ())
    assert (nodes.site, nodes.single) == (None, True)
    assert isinstance(way(nodes), LocalChannel)


def test_all_nodes_are_meant_but_those_that_no_ssh_leads_to(target: Target) -> None:
    nodes = choose_nodes(target, (), ())
    assert (nodes.names, nodes.by_bundle, nodes.single) == (("web-1", "web-2", "mon-1"), ("far-1",), False)
    assert isinstance(way(nodes, "web-1"), SshChannel)
    assert isinstance(way(nodes, "mon-1"), LocalChannel)
    assert nodes.open("mon-1").node == "mon-1"


def test_one_node_is_single_and_groups_leave_the_server_out(target: Target) -> None:
    assert choose_nodes(target, ("web-1",), ()).single
    assert choose_nodes(target, ("mon-1",), ()).names == ("mon-1",)
    assert choose_nodes(target, (), ("web",)).names == ("web-1", "web-2")


def test_a_host_that_is_named_and_cannot_be_reached_is_refused(target: Target) -> None:
    with pytest.raises(UsageError) as caught:
        choose_nodes(target, ("far-1",), ())
    assert caught.value.code == "host-by-bundle"
    assert "observability host bundle far-1" in caught.value.do


def test_faults_of_hosts_are_faults_of_the_configuration(target: Target) -> None:
    (target.configuration / "hosts/web-1.yaml").write_text("address: 192.0.2.11\nadress: 1\n")
    with pytest.raises(ConfigurationError):
        choose_nodes(target, (), ())


def test_a_private_root_has_no_hosts(target: Target, tmp_path: Path) -> None:
    private = make_target(tmp_path / "root", target.configuration, None, Scope.NEAREST)
    assert watches_hosts(target)
    assert not watches_hosts(private)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "--host", "web-9"], "No host is called 'web-9'"),
        (["apply", "--limit", "shop"], "No group or pattern is called 'shop'"),
        (["apply", "--batch", "0"], "neither a number of hosts nor a share"),
        (["apply", "--batch", "101%"], "neither a number of hosts nor a share"),
        (["apply", "--resume", "--canary", "mon-1"], "No host is called 'mon-1'"),
        (["rollback", "--auto", "--host", "web-9"], "No host is called 'web-9'"),
        (["status", "--host", "far-1"], "No SSH leads to far-1"),
        (["plan", "--limit", "far-*"], "No SSH leads to far-1"),
    ],
)
def test_bad_choices_are_usage_errors(
    arguments: list[str], said: str, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--config", str(target.configuration), "--root", "/"]) == 2
    assert said in capsys.readouterr().err


def test_a_server_alone_has_nothing_to_resume(alone: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--resume", "--config", str(alone.configuration), "--root", "/"]) == 2
    assert "nothing to go on with" in capsys.readouterr().err
