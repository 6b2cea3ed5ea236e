"""The nginx of each suite takes the door for journals, for the longest names of hosts and for very many of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from contract.debian import SUITES, distribution
from machine.shipping import Authority
from obstack.model.site import Site
from obstack.render.journal_receive import render_journal_receive
from rendering.settled import SERVER, materials

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("suite", SUITES)
def test_nginx_takes_the_door_of_many_hosts_with_long_names(suite: str, tmp_path: Path) -> None:
    names = ["w" * 63, "x" * 62, *(f"web-{number}" for number in range(2_000))]
    site = Site.model_validate(
        {
            "domain": "observability.example.org",
            "server": {"address": "192.0.2.1"},
            "hosts": {name: {"address": "192.0.2.10"} for name in names},
        }
    )
    settled = materials(suite, Authority().sign("mon-1"))
    for file in render_journal_receive(site, SERVER, settled).files:
        (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.path).write_bytes(file.content)
    nginx = distribution(suite).artifact("nginx") / "usr/sbin/nginx"
    configuration = tmp_path / "etc/journal-receive/nginx.conf"
    argv = [str(nginx), "-t", "-q", "-c", str(configuration), "-p", f"{tmp_path}/", "-e", "stderr"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
