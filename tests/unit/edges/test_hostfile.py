import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from obstack.edges.configfile import FileConfigurations
from obstack.edges.hostfile import HostFiles
from obstack.errors import ConfigurationError, UsageError
from obstack.ports import KeyChange

BASE = "domain: mon.test\nserver: {address: 192.0.2.1}\nfleet: {groups: {web: {}}}\n"


@pytest.fixture
def files(tmp_path: Path) -> HostFiles:
    (tmp_path / "global.yaml").write_text(BASE, encoding="utf-8")
    return HostFiles(tmp_path)


def written(files: HostFiles) -> dict[str, str]:
    folder = files.folder / "hosts"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.yaml*")}


def test_a_host_is_added_with_the_schema_beside_it(files: HostFiles) -> None:
    values = {"address": "192.0.2.10", "groups": ["web"], "ssh": {"port": 2222}, "modules": {"nginx": {}}}
    place = files.add("web-1", values)
    assert Path(place).read_text(encoding="utf-8") == (
        "# yaml-language-server: $schema=host.schema.json\n"
        "address: 192.0.2.10\ngroups: [web]\nssh:\n  port: 2222\nmodules:\n  nginx: {}\n"
    )
    assert files.names() == ("web-1",)
    schema = json.loads((files.folder / "hosts" / "host.schema.json").read_text(encoding="utf-8"))
    assert schema["required"] == ["address"]
    assert list(FileConfigurations(files.folder).load().site.hosts) == ["web-1"]


def test_a_bad_host_is_shown_at_its_place_and_nothing_is_written(files: HostFiles) -> None:
    with pytest.raises(ConfigurationError) as caught:
        files.add("web-1", {"address": "192.0.2.10", "groups": ["wep"]})
    (problem,) = caught.value.problems
    assert problem.place == f"{files.folder}/hosts/web-1.yaml:3:10"
    assert problem.excerpt == "groups: [wep]"
    assert written(files) == {}


def test_a_bad_edit_leaves_the_file_as_it_is(files: HostFiles) -> None:
    files.add("web-1", {"address": "192.0.2.10"})
    before = written(files)
    with pytest.raises(ConfigurationError) as caught:
        files.edit("web-1", [KeyChange(("scrape_interval",), "often")])
    assert caught.value.problems[0].path == "hosts.web-1.scrape_interval"
    assert written(files) == before


def test_an_edit_keeps_comments_and_the_rights_of_the_file(files: HostFiles) -> None:
    path = Path(files.add("web-1", {"address": "192.0.2.10"}))
    path.write_text("# ours\naddress: 192.0.2.10  # fixed\n", encoding="utf-8")
    path.chmod(0o640)
    assert files.edit("web-1", [KeyChange(("modules", "nginx"), {})])
    assert path.read_text(encoding="utf-8") == "# ours\naddress: 192.0.2.10  # fixed\nmodules:\n  nginx: {}\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_edit_that_changes_nothing_writes_nothing(files: HostFiles) -> None:
    path = Path(files.add("web-1", {"address": "192.0.2.10"}))
    path.write_text("address: '192.0.2.10'\n", encoding="utf-8")
    before = path.stat()
    assert not files.edit("web-1", [KeyChange(("address",), "192.0.2.10")])
    assert not files.edit("web-1", [KeyChange(("modules", "nginx"), gone=True)])
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_editors_take_turns(files: HostFiles) -> None:
    files.add("web-1", {"address": "192.0.2.10"})
    labels = [f"label_{number}" for number in range(8)]

    def label(name: str) -> bool:
        return HostFiles(files.folder).edit("web-1", [KeyChange(("labels", name), "x")])

    with ThreadPoolExecutor(len(labels)) as pool:
        assert all(pool.map(label, labels))
    site = FileConfigurations(files.folder).load().site
    assert sorted(site.hosts["web-1"].labels) == labels


def test_a_link_to_a_file_stays_a_link(files: HostFiles) -> None:
    path = Path(files.add("web-1", {"address": "192.0.2.10"}))
    elsewhere = files.folder / "elsewhere.yaml"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert files.edit("web-1", [KeyChange(("logs",), value=False)])
    assert path.is_symlink()
    assert "logs: false" in elsewhere.read_text(encoding="utf-8")


def test_an_old_problem_does_not_forbid_another_change(files: HostFiles) -> None:
    files.add("web-1", {"address": "192.0.2.10"})
    (files.folder / "hosts" / "web-2.yaml").write_text("adress: 192.0.2.11\n", encoding="utf-8")
    assert files.edit("web-1", [KeyChange(("logs",), value=False)])


def test_a_removed_host_keeps_its_file_under_another_name(files: HostFiles) -> None:
    files.add("web-1", {"address": "192.0.2.10"})
    assert files.remove("web-1") == f"{files.folder}/hosts/web-1.yaml.1"
    files.add("web-1", {"address": "192.0.2.11"})
    assert files.remove("web-1") == f"{files.folder}/hosts/web-1.yaml.2"
    assert files.names() == ()
    assert sorted(written(files)) == ["web-1.yaml.1", "web-1.yaml.2"]


def test_a_host_that_is_needed_is_not_removed(files: HostFiles) -> None:
    files.add("web-1", {"address": "192.0.2.10"})
    (files.folder / "global.yaml").write_text(BASE.replace("groups", "canaries: [web-1], groups"), encoding="utf-8")
    for refuse in (files.check_removal, files.remove):
        with pytest.raises(ConfigurationError) as caught:
            refuse("web-1")
        assert caught.value.problems[0].message == "web-1 is not a host"
    assert files.names() == ("web-1",)


def test_a_host_is_added_once_and_an_unknown_one_is_named(files: HostFiles) -> None:
    files.add("web-1", {"address": "192.0.2.10"})
    with pytest.raises(UsageError) as caught:
        files.add("web-1", {"address": "192.0.2.11"})
    assert caught.value.code == "host-exists"
    with pytest.raises(UsageError) as caught:
        files.edit("web-11", [])
    assert caught.value.what == "There is no host web-11. Did you mean web-1?"


@pytest.mark.parametrize("name", ["Web-1", "../web", "web.1", ""])
def test_a_name_that_is_no_host_name_is_refused(files: HostFiles, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        files.add(name, {"address": "192.0.2.10"})
    assert caught.value.code == "host-name"
    assert written(files) == {}


def test_without_a_configuration_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        HostFiles(tmp_path / "config").add("web-1", {"address": "192.0.2.10"})
    assert caught.value.code == "no-configuration"
    assert os.listdir(tmp_path) == []
