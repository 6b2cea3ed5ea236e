import time
from pathlib import Path

from obstack.edges.configfile import FileConfigurations
from obstack.model.host import Ssh

BASE = "domain: mon.test\nserver: {address: 192.0.2.1}\nfleet: {groups: {web: {}}}\n"


def write(folder: Path, **hosts: str) -> FileConfigurations:
    (folder / "hosts").mkdir(exist_ok=True)
    (folder / "global.yaml").write_text(BASE, encoding="utf-8")
    for name, text in hosts.items():
        (folder / "hosts" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return FileConfigurations(folder)


def test_each_file_is_a_host_and_its_values_know_their_place(tmp_path: Path) -> None:
    loaded = write(tmp_path, web="address: 192.0.2.10\ngroups: [web]\n", db="# the base\naddress: db.test\n").load()
    assert list(loaded.site.hosts) == ["db", "web"]
    assert loaded.site.hosts["web"].groups == ("web",)
    assert loaded.origins["hosts", "web", "groups", 0].place == f"{tmp_path}/hosts/web.yaml:2:10"
    assert loaded.origins["hosts", "db", "address"].place == f"{tmp_path}/hosts/db.yaml:2:10"
    assert loaded.files == tuple(str(tmp_path / name) for name in ("global.yaml", "hosts/db.yaml", "hosts/web.yaml"))


def test_a_key_without_a_value_means_its_default_and_null_ends_ssh(tmp_path: Path) -> None:
    text = "address: 192.0.2.10\nssh:\nlogs:\nlabels:\nmodules:\n  nginx:\n"
    site = write(tmp_path, web=text, far="address: 192.0.2.11\nssh: null\n").load().site
    assert site.hosts["web"].ssh == Ssh()
    assert site.hosts["web"].logs is True
    assert [use.enabled for use in site.hosts["web"].modules.values()] == [True]
    assert site.hosts["far"].ssh is None


def test_hosts_are_there_in_every_environment(tmp_path: Path) -> None:
    configurations = write(tmp_path, web="address: 192.0.2.10\n")
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "staging.yaml").write_text("fleet: {batch: 50%}\n", encoding="utf-8")
    site = configurations.load("staging").site
    assert site.fleet.batch == "50%"
    assert list(site.hosts) == ["web"]


def test_an_edit_is_judged_before_it_is_written(tmp_path: Path) -> None:
    configurations = write(tmp_path, web="address: 192.0.2.10\n")
    same = configurations.examine_edited({"db": b"# new\naddress: 192.0.2.10\n"})
    assert [problem.place for problem in same.problems] == [f"{tmp_path}/hosts/web.yaml:1:10"]
    moved = configurations.examine_edited({"db": b"address: 192.0.2.10\n", "web": None})
    assert moved.problems == ()
    assert moved.loaded is not None
    assert list(moved.loaded.site.hosts) == ["db"]
    assert list(configurations.load().site.hosts) == ["web"]


def test_a_thousand_hosts_are_read_in_a_moment(tmp_path: Path) -> None:
    text = "address: 10.1.{0}.{1}\ngroups: [web]\nlabels:\n  rack: a1\nmodules:\n  nginx:\n  node: {{}}\n"
    hosts = {f"web-{number}": text.format(number // 250, number % 250) for number in range(1000)}
    configurations = write(tmp_path, **hosts)
    began = time.process_time()
    assert len(configurations.load().site.hosts) == 1000
    assert time.process_time() - began < 2  # a tenth of it on a quiet machine


def test_a_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "global.yaml").write_text(BASE, encoding="utf-8")
    (tmp_path / "hosts").write_text("", encoding="utf-8")
    (problem,) = FileConfigurations(tmp_path).examine().problems
    assert (problem.place, problem.message) == (f"{tmp_path}/hosts", "is a file, not a folder")


def test_a_file_is_compared_as_the_base_of_the_same_hosts(tmp_path: Path) -> None:
    configurations = write(tmp_path, web="address: 192.0.2.10\n")
    other = tmp_path / "old.yaml"
    other.write_text(BASE.replace("groups", "canaries: [web], groups"), encoding="utf-8")
    examination = configurations.examine_file(other)
    assert examination.problems == ()
    assert examination.loaded is not None
    assert list(examination.loaded.site.hosts) == ["web"]
