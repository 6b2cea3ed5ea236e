"""What an attacker writes into a configuration, judged by the products' own parsers: each takes it for text."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from contract.debian import Distribution
from contract.staging import Staged, materials, write_tree
from hostile.site import TARGETS, hostile_site
from hostile.words import SYNTAX
from obstack.agent.checks import run_checks
from obstack.agent.systemd import Systemd
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.node import render_node
from rendering.settled import KEY, SERVER

pytestmark = [pytest.mark.contract, pytest.mark.security]

WORDS = [word for word in SYNTAX if not word.endswith("\\")]
EVERYTHING = " ".join(WORDS)[:500]
"""All of it in one value: what one word opens another may close."""


@pytest.fixture(scope="module")
def staged(suite: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Staged:
    site = hostile_site(EVERYTHING, TARGETS[1])
    server: Site = site.model_copy(update={"hosts": {}})
    settled = materials(suite, site.domain, time.time())
    manifest, blobs = build_generation("mon-1", "observability", SERVER, render_node(server, SERVER, settled), KEY)
    # The checker of the firewall's rules is the installed agent, and no product.
    checks = tuple(check for check in manifest.checks if check.name != "firewall rules")
    manifest = dataclasses.replace(manifest, checks=checks)
    return write_tree(manifest, blobs, suite, tmp_path_factory.mktemp("hostile"))


def document(staged: Staged, path: str) -> Any:
    return YAML(typ="safe", pure=True).load((staged.tree / path).read_text())


def run(staged: Staged, program: str, *arguments: str) -> str:
    path = next(path for path in (staged.tree / "artifacts").glob(f"*/usr/*bin/{program}"))
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_product_takes_hostile_text(staged: Staged) -> None:
    failures = run_checks(staged.manifest, str(staged.tree), SERVER.current, str(staged.scratch), Systemd(""))
    assert [(failure.name, failure.output) for failure in failures] == []


def test_alertmanager_matches_the_very_text(staged: Staged) -> None:
    """Its own program tells where an alert with exactly these labels goes, and one without a letter of them."""
    configuration = f"--config.file={staged.tree / 'etc/alertmanager/alertmanager.yml'}"
    labels = document(staged, "etc/alertmanager/alertmanager.yml")["route"]["routes"][1]["matchers"]
    assert len(labels) == 2
    quoted = EVERYTHING.replace("\\", "\\\\").replace('"', '\\"')
    same = [f'{name}="{quoted}"' for name in ("a", "b")]
    assert run(staged, "amtool", "config", "routes", "test", configuration, *same).strip() == "hook"
    other = [label.replace("cat", "dog").replace("uid", "gid") for label in same]
    assert run(staged, "amtool", "config", "routes", "test", configuration, *other).strip() != "hook"


def test_prometheus_reads_the_very_text(staged: Staged) -> None:
    labels = document(staged, "etc/prometheus/prometheus.yml")["global"]["external_labels"]
    assert labels["a"].replace("$$", "$") == EVERYTHING
    expression = f'up{{a="{EVERYTHING.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"}}'
    rules = {"groups": [{"name": "a", "rules": [{"record": "a:b", "expr": expression}]}]}
    file = Path(staged.scratch) / "rules.yml"
    with file.open("w") as stream:
        YAML(typ="safe", pure=True).dump(rules, stream)
    run(staged, "promtool", "check", "rules", str(file))
