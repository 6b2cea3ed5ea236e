"""A module is whole when each alert has a page and a case, and it has a dashboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from obstack.edges.modulefile import module_names, shipped_folder
from obstack.edges.modulefile.begin import begin_module
from obstack.edges.modulefile.validate import validate_module
from obstack.errors import UsageError


@pytest.mark.parametrize("name", module_names(shipped_folder()))
def test_every_module_is_whole(name: str) -> None:
    assert validate_module(shipped_folder() / name, name).problems == ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    begin_module(tmp_path, "web-shop")
    return tmp_path / "web-shop"


def problems(folder: Path) -> list[str]:
    found = validate_module(folder, "web-shop").problems
    return [f"{item.place} {item.message}" for item in found]


def replace(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def test_a_module_to_begin_with_is_whole(folder: Path) -> None:
    assert problems(folder) == []


def test_an_alert_without_page_and_case_is_told(folder: Path) -> None:
    (folder / "runbooks/WebShopDown.md").rename(folder / "runbooks/WebShopGone.md")
    (folder / "alerts.test.yaml").unlink()
    (folder / "dashboard.json").unlink()
    assert problems(folder) == [
        "web-shop/alerts.yaml:3:12 WebShopDown has no page",
        "web-shop/alerts.yaml:3:12 WebShopDown fires in no case of alerts.test.yaml that names its label host",
        "web-shop/runbooks/WebShopGone.md is the page of no alert of alerts.yaml",
        "web-shop/runbooks/WebShopGone.md must begin with the title # WebShopGone",
        "web-shop/dashboard.json does not exist",
    ]


def test_a_case_must_name_the_host_and_expect_the_alert(folder: Path) -> None:
    replace(folder / "alerts.test.yaml", "exp_samples: [{value: 1}]", "exp_samples: [{value: 0}]")
    told = "web-shop/alerts.yaml:3:12 WebShopDown fires in no case of alerts.test.yaml that names its label host"
    assert problems(folder) == [told]
    replace(folder / "alerts.test.yaml", "exp_samples: [{value: 0}]", "exp_samples: [{value: 1}]")
    replace(folder / "alerts.test.yaml", ',host="host-1"})', "})")
    assert problems(folder) == [told]


def test_a_page_must_have_every_section_filled(folder: Path) -> None:
    page = folder / "runbooks/WebShopDown.md"
    replace(page, "Say here who notices, and what they can no longer do.", "")
    replace(page, "## Mitigation", "## What to do")
    assert problems(folder) == [
        f"web-shop/runbooks/WebShopDown.md {fault}"
        for fault in (
            "must have the sections Meaning, Impact, Diagnosis, Mitigation, It is over when, in this order",
            "says nothing under Impact",
        )
    ]


def test_a_service_that_is_watched_has_an_alert_for_its_end(folder: Path) -> None:
    for file in (folder / "alerts.yaml", folder / "alerts.test.yaml", folder / "runbooks/WebShopDown.md"):
        replace(file, "WebShopDown", "WebShopAway")
    (folder / "runbooks/WebShopDown.md").rename(folder / "runbooks/WebShopAway.md")
    replace(folder / "module.yaml", "before WebShopDown fires", "before it is told")
    assert problems(folder) == [
        "web-shop/alerts.yaml:3:3 no alert tells that the service is down, although exporter.up says how that is seen"
    ]


def test_a_module_is_not_begun_over_another(tmp_path: Path, folder: Path) -> None:
    for name, what in (("web-shop", "already"), ("nginx", "brings"), ("Shop", "is not the name of a module")):
        with pytest.raises(UsageError, match=what):
            begin_module(tmp_path, name)
