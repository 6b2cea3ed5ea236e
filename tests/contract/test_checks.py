"""The products' own checkers accept the staged output of every version, and refuse what is broken."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from contract.debian import Distribution
from contract.staging import Staged, materials, stage
from obstack.agent.checks import CheckFailure, run_checks
from obstack.agent.systemd import Systemd
from obstack.edges.agent_archive import build_agent
from obstack.model.site import Site
from rendering.settled import SERVER, full_site, small_site

pytestmark = pytest.mark.contract


def staged(site: Site, suite: Distribution, folder: Path) -> Staged:
    return stage(site, SERVER, materials(suite, site.domain, time.time()), suite, folder)


def failures(generation: Staged) -> list[CheckFailure]:
    """What the checkers say. The agent, which judges the firewall's rules itself, is not where it is on a machine."""
    agent = generation.scratch / "agent.pyz"
    agent.write_bytes(build_agent().content)
    checks = tuple(
        dataclasses.replace(check, argv=tuple(str(agent) if word == SERVER.agent else word for word in check.argv))
        for check in generation.manifest.checks
    )
    manifest = dataclasses.replace(generation.manifest, checks=checks)
    return run_checks(manifest, str(generation.tree), SERVER.current, str(generation.scratch), Systemd(""))


@pytest.mark.parametrize("site", [small_site(), full_site()], ids=["small", "full"])
def test_every_checker_accepts_what_is_rendered(suite: Distribution, site: Site, tmp_path: Path) -> None:
    generation = staged(site, suite, tmp_path)
    assert len(generation.manifest.checks) == 5
    assert failures(generation) == []


BROKEN = {
    "prometheus configuration": [
        ("etc/prometheus/prometheus.yml", "scrape_timeout: 10s", "scrape_timeout: 10days"),
        ("etc/prometheus/rules/machine.yml", "expr:", "expression:"),
        ("etc/prometheus/targets/prometheus.json", "[", "{"),
    ],
    "alertmanager configuration": [("etc/alertmanager/alertmanager.yml", "receiver: nobody", "receiver: somebody")],
    "blackbox configuration": [("etc/blackbox-exporter/blackbox.yml", "timeout: 10s", "timeout: soon")],
    "nginx configuration": [
        ("etc/nginx/nginx.conf", "server_tokens off", "server_tokens perhaps"),
        ("etc/nginx/tls/key.pem", "PRIVATE", "PUBLIC"),
    ],
    "firewall rules": [("etc/observability-firewall/rules.json", '"port": 443', '"port": 443443')],
    "units": [("units/prometheus.service", "ExecStart=/", "ExecStart=relative/")],
}


@pytest.mark.parametrize(("check", "path", "old", "new"), [(name, *case) for name in BROKEN for case in BROKEN[name]])
def test_the_checker_concerned_refuses_a_broken_file(
    suite: Distribution, check: str, path: str, old: str, new: str, tmp_path: Path
) -> None:
    generation = staged(small_site(), suite, tmp_path)
    generation.rewrite(path, old, new)
    assert [failure.name for failure in failures(generation)] == [check]


def test_checking_leaves_the_staged_tree_as_it_was(suite: Distribution, tmp_path: Path) -> None:
    generation = staged(small_site(), suite, tmp_path)
    before = sorted(str(path) for path in generation.tree.rglob("*"))
    assert failures(generation) == []
    assert sorted(str(path) for path in generation.tree.rglob("*")) == before
