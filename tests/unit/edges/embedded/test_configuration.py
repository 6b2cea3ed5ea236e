"""The configuration file of a private root is written once and then belongs to its user."""

from __future__ import annotations

from pathlib import Path

from obstack.edges.configfile.load import FileConfigurations
from obstack.edges.embedded.configuration import write_embedded_configuration


def test_a_new_file_loads_without_a_problem(tmp_path: Path) -> None:
    write_embedded_configuration(tmp_path / "config" / "global.yaml", None)

    site = FileConfigurations(tmp_path / "config").load().site
    assert (site.front_door.https_port, site.logs.port) == (19000, 19006)
    assert (tmp_path / "config" / "global.yaml").stat().st_mode & 0o777 == 0o600


def test_a_second_run_leaves_the_file_alone(tmp_path: Path) -> None:
    write_embedded_configuration(tmp_path / "global.yaml", 21000)
    before = (tmp_path / "global.yaml").stat()

    write_embedded_configuration(tmp_path / "global.yaml", None)
    write_embedded_configuration(tmp_path / "global.yaml", 21000)

    assert (tmp_path / "global.yaml").stat() == before


def test_moving_the_ports_keeps_what_the_user_wrote(tmp_path: Path) -> None:
    file = tmp_path / "global.yaml"
    write_embedded_configuration(tmp_path / "global.yaml", None)
    file.write_text(file.read_text().replace("retention_time: 7d", "retention_time: 9d # a bit more", 1))

    write_embedded_configuration(tmp_path / "global.yaml", 21000)

    assert "retention_time: 9d # a bit more" in file.read_text()
    site = FileConfigurations(tmp_path).load().site
    assert site.prometheus.retention_time == "9d"
    assert (site.front_door.https_port, site.logs.port) == (21000, 21006)


def test_sections_that_the_user_removed_come_back_for_their_port(tmp_path: Path) -> None:
    (tmp_path / "global.yaml").write_text("version: 1\ndomain: localhost\n")

    write_embedded_configuration(tmp_path / "global.yaml", 21000)

    assert FileConfigurations(tmp_path).load().site.blackbox.port == 21005


def test_a_broken_file_is_left_for_its_reader_to_explain(tmp_path: Path) -> None:
    (tmp_path / "global.yaml").write_text("domain: [\n")

    write_embedded_configuration(tmp_path / "global.yaml", 21000)

    assert (tmp_path / "global.yaml").read_text() == "domain: [\n"
