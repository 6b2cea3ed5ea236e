"""The bill of materials and the licences of a real lock with real packages; CycloneDX's own library judges the form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from contract.cache import cache_folder
from obstack.edges.debian.apt import own_architecture

pytestmark = [pytest.mark.contract, pytest.mark.security]

SOURCE = Path(__file__).parents[3] / "src"


def program(configuration: Path, *arguments: str) -> str:
    environment = {"PYTHONPATH": str(SOURCE), "OBSERVABILITY_CACHE": str(cache_folder("artifacts"))}
    done = subprocess.run(
        [sys.executable, "-m", "obstack.cli.main", *arguments, "--config", str(configuration), "--quiet"],
        capture_output=True, text=True, env=os.environ | environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "config"
    (folder / "hosts").mkdir(parents=True)
    server = {"name": "mon-1", "address": "192.0.2.1"}
    site = {"name": "example", "domain": "mon-1.internal", "server": server}
    (folder / "global.yaml").write_text(json.dumps(site))
    host = {"address": "192.0.2.2", "suite": "trixie", "architecture": own_architecture(), "modules": {"nginx": {}}}
    (folder / "hosts/web-1.yaml").write_text(json.dumps(host))
    return folder


@pytest.fixture(scope="module")
def bill(configuration: Path) -> Any:
    return json.loads(program(configuration, "artifacts", "sbom"))


def test_the_bill_is_of_the_form_that_cyclonedx_prescribes(bill: Any) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert bill["metadata"]["component"]["name"] == "example"


def test_it_leads_from_the_site_over_nodes_and_artifacts_to_archives(bill: Any, configuration: Path) -> None:
    needs = {item["ref"]: item.get("dependsOn", []) for item in bill["dependencies"]}
    assert set(needs["site"]) == {"node/mon-1", "node/web-1", "program"}
    assert {name.split("/")[1] for name in needs["node/web-1"]} == {
        "node-exporter",
        "nginx-exporter",
        "nginx",
        "nftables",
    }
    components = {component["bom-ref"]: component for component in bill["components"]}
    archives = {ref for name in needs["node/web-1"] for ref in needs[name]}
    for ref in archives:
        part = components[ref]
        assert part["purl"].startswith("pkg:deb/debian/")
        assert "distro=trixie" in part["purl"]
        assert part["licenses"]
    lock = json.loads((configuration / "artifacts.lock.json").read_text())
    locked = lock["hosts"][f"trixie/{own_architecture()}"]
    digests = {archive["entry"]["digest"] for item in locked.values() for archive in item["archives"]}
    assert {components[ref]["hashes"][0]["content"] for ref in archives} == digests


def test_it_has_the_libraries_that_the_program_runs_on(bill: Any) -> None:
    needs = {item["ref"]: item.get("dependsOn", []) for item in bill["dependencies"]}
    names = {ref.split("/")[1].split("@")[0] for ref in needs["program"]}
    assert {"click", "pydantic", "cryptography", "cyclonedx-python-lib"} <= names


def test_equal_bills_have_equal_numbers_and_another_bill_another(bill: Any, configuration: Path) -> None:
    again = json.loads(program(configuration, "artifacts", "sbom"))
    assert again["serialNumber"] == bill["serialNumber"]
    alone = json.loads(program(configuration, "artifacts", "sbom", "--host", "web-1"))
    assert alone["serialNumber"] != bill["serialNumber"]


def test_every_part_has_a_licence_or_says_who_must_read_it(configuration: Path) -> None:
    parts = json.loads(program(configuration, "artifacts", "licences", "--host", "web-1", "--json"))["parts"]
    said = {part["name"]: part["licence"] or part["note"] for part in parts}
    assert said["prometheus-node-exporter"] == "Apache-2.0"
    assert "BSD-2-Clause" in said["nginx"]
    assert all(said.values())
    assert {"nginx"} == set(next(part for part in parts if part["name"] == "nginx")["artifacts"])


def test_the_list_says_what_vouches_for_each_artifact(configuration: Path) -> None:
    nodes = json.loads(program(configuration, "artifacts", "list", "--json"))["nodes"]
    assert {node["node"] for node in nodes} == {"web-1", "mon-1"}
    assert {item["vouched_for_by"] for node in nodes for item in node["artifacts"]} == {
        "the archive's signature, checked by apt"
    }
