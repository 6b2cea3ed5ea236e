"""A host is added, looked at, judged and removed over its real sshd; what is on it is detected by looking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from machine.fleet_machine import Site, services_image
from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.small import UNIT, small
from obstack.edges.configfile import FileConfigurations
from obstack.edges.ssh_channel import SshChannel

pytestmark = pytest.mark.machine

STATE = "/var/lib/observability"


@pytest.fixture(scope="module")
def machine(
    machines: Machines, suite: str, images: ImageStore, minimal_images: Mapping[str, Image]
) -> Iterator[Machine]:
    """A machine with nginx and Redis, both off."""
    machine = machines.create(services_image(images, minimal_images[suite]), "web-1")
    yield machine
    machine.destroy()


@pytest.fixture(scope="module")
def site(machine: Machine, suite: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with the machine as its host web-1."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.begin("192.0.2.1")
    site.open(machine)
    added = site.document("host", "add", "web-1", "--address", machine.address, "--identity", str(site.key))
    assert added["file"] == "config/hosts/web-1.yaml"
    lines = "".join(f"    - {option}\n" for option in site.ssh_options())
    site.file("web-1").write_text(site.file("web-1").read_text() + f"  options:\n{lines}# the machine of {suite}\n")
    return site


def found(site: Site, *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = site.document("host", "detect", "web-1", "--quiet", *arguments)
    return document | {"modules": {one["module"]: one for one in document["modules"]}}


def test_services_that_are_off_are_seen_and_not_proposed(site: Site, suite: str) -> None:
    seen = found(site)
    assert {name for name, one in seen["modules"].items() if one["proposed"]} == {"systemd"}
    assert seen["modules"]["nginx"]["confidence"] == "low"
    assert "unit nginx.service is there, but is disabled and inactive" in seen["modules"]["nginx"]["evidence"]
    assert seen["modules"]["mysqld"]["verdict"] == "no"
    assert seen["proposed"] == {"suite": suite, "architecture": "amd64", "modules": {"systemd": {}}}


def test_services_at_work_are_proposed_and_written_beside_what_a_person_wrote(
    site: Site, machine: Machine, suite: str
) -> None:
    machine.succeed("systemctl start nginx redis-server")
    before = site.file("web-1").read_text()
    seen = found(site, "--write")
    assert {name for name, one in seen["modules"].items() if one["proposed"]} == {"nginx", "redis", "systemd"}
    assert "unit nginx.service is active" in seen["modules"]["nginx"]["evidence"]
    assert seen["added"] == ["suite", "architecture", "modules.nginx", "modules.redis", "modules.systemd"]
    assert site.file("web-1").read_text() == before.replace(
        "# the machine",
        f"suite: {suite}\narchitecture: amd64\nmodules:\n  nginx: {{}}\n  redis: {{}}\n  systemd: {{}}\n# the machine",
    )
    assert found(site, "--write")["added"] == []


def test_the_evidence_is_shown_to_people(site: Site) -> None:
    shown = site.run("host", "detect", "web-1")
    assert shown.returncode == 0, shown.stderr
    assert "nginx" in shown.stdout
    assert "unit nginx.service is active" in shown.stdout
    assert "  redis: {}" in shown.stdout


def test_a_good_host_is_ready_and_each_fault_is_found(site: Site, machine: Machine) -> None:
    assert site.document("host", "check", "web-1", "--quiet")["ready"]
    text = site.file("web-1").read_text()
    site.file("web-1").write_text(text.replace("suite: ", "suite: old"))
    with_listener = "systemd-run --unit=other python3 -m http.server 9100"
    machine.succeed(with_listener)
    machine.wait_until_succeeds("curl -sS http://127.0.0.1:9100/")
    codes = {finding["code"] for finding in site.document("host", "check", "web-1", "--quiet", code=1)["findings"]}
    assert codes >= {"suite", "port-busy"}
    machine.succeed("systemctl stop other")
    site.file("web-1").write_text(text)
    assert site.document("host", "check", "web-1", "--quiet")["ready"]


def test_a_host_that_is_away_is_told_as_such(site: Site, machine: Machine) -> None:
    machine.succeed("systemctl stop ssh.socket ssh.service")
    for verb in ("check", "detect"):
        error = site.document("host", verb, "web-1", "--quiet", code=6)["error"]
        assert "web-1" in error["where"]
    error = site.document("host", "remove", "web-1", "--clean", "--yes", "--quiet", code=6)["error"]
    assert site.file("web-1").exists()
    machine.succeed("systemctl start ssh.service")


def test_a_removed_host_is_clean_and_its_file_is_kept(site: Site, machine: Machine) -> None:
    text = site.file("web-1").read_text()
    loaded = FileConfigurations(site.folder / "config").examine().loaded
    assert loaded is not None
    channel = SshChannel("web-1", loaded.site.hosts["web-1"], site.folder / "cache")
    generation = small("one")
    assert channel.ask(generation.request, generation.contents, lambda event: None).outcome == "committed"
    assert machine.run(["systemctl", "is-active", UNIT]).code == 0
    removed = site.document("host", "remove", "web-1", "--clean", "--yes", "--quiet")
    assert removed["cleaned"]
    assert removed["server"] is None
    assert removed["kept"] == "config/hosts/web-1.yaml.1"
    assert (site.folder / removed["kept"]).read_text() == text
    assert machine.run(["systemctl", "is-active", UNIT]).code != 0
    for place in (STATE, f"/etc/{UNIT}", f"/etc/systemd/system/{UNIT}.service"):
        assert machine.run(["test", "-e", place]).code == 1, place
    assert site.document("host", "list") == {"hosts": []}


def test_a_host_that_lets_nobody_in_is_added_and_not_detected(site: Site, machine: Machine) -> None:
    add = ("host", "add", "web-2", "--address", machine.address, "--identity", "/nonexistent/key", "--detect")
    error = site.document(*add, "--quiet", code=6)["error"]
    assert (
        error["state"] == "config/hosts/web-2.yaml is written as it was asked for; nothing that was detected is in it"
    )
    assert site.document("host", "list")["hosts"][0]["modules"] == ["node"]


def test_a_machine_looks_at_itself(site: Site) -> None:
    seen = site.document("host", "detect", "--quiet")
    assert {one["module"] for one in seen["modules"]} >= {"nginx", "redis"}
